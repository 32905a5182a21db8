"""CIRH's joint network and its two stages as the authors' program has them (``MyNet``, class ``PCIRH``), plainly."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import mse_loss, normalize

PLACES = ("encode_image", "encode_text", "graph_image", "graph_text", "graph_joint", "head_joint", "head_image",
          "head_text", "head", "decode_image_1", "decode_image_2", "decode_text_1", "decode_text_2")  # fmt: skip


class Program(nn.Module):
    """Linear layers and torch's own batch normalisation, with the initial values of a network of ours."""

    def __init__(self, ours) -> None:
        super().__init__()
        for place in PLACES:
            mine = getattr(ours, place)
            linear = nn.Linear(mine.linear.in_features, mine.linear.out_features).double()
            linear.load_state_dict(mine.linear.state_dict())
            setattr(self, place, linear)
            setattr(self, place + "_norm", nn.BatchNorm1d(linear.out_features).double())

    def layer(self, place, values, graph=None):
        values = getattr(self, place)(values)
        return getattr(self, place + "_norm")(values if graph is None else graph @ values)

    def forward(self, image, text, s):
        v_i, v_t = (normalize(self.layer(f"encode_{m}", x).relu()) for m, x in (("image", image), ("text", text)))
        g_i, g_t = self.layer("graph_image", v_i, s).relu(), self.layer("graph_text", v_t, s).relu()
        eye = torch.eye(len(s)).double()
        blocks = torch.cat([torch.cat([s, eye], 1), torch.cat([eye, s], 1)])
        both = self.layer("graph_joint", torch.cat([v_i, v_t]), blocks)
        v_j = (both[: len(s)] + both[len(s) :]).relu()
        h_j = self.layer("head_joint", v_j)
        h_i, h_t = self.layer("head_image", torch.cat([g_i, v_j], 1)), self.layer("head_text", torch.cat([v_j, g_t], 1))
        h = self.layer("head", torch.cat([h_i, h_j, h_t], 1)).tanh()
        rebuilt_i = self.layer("decode_image_2", self.layer("decode_image_1", h + h_i.tanh()).relu())
        rebuilt_t = self.layer("decode_text_2", self.layer("decode_text_1", h + h_t.tanh()).relu())
        return h_i, h_t, h, rebuilt_i, rebuilt_t


def similarity(image, text, a1, a2, dropped):
    """``cal_similarity``: S over all pairs."""
    image, text = normalize(image), normalize(text)
    s1 = a1 * image @ image.T + (1 - a1) * text @ text.T
    for row in s1:
        row[row.argsort()[:dropped]] = 0
    s2 = 2 / (1 + torch.exp(-s1)) - 1 + torch.eye(len(s1)).double()
    return a2 * s1 + (1 - a2) * (s2 + s2.T) / 2


def first_stage(network, image, text, s, first):
    """``train_method`` on a batch: loss and codes; ``first`` 1 is the program's choice of neighbours."""
    order = s.argsort(dim=1, descending=True, stable=True)[:, 1:]  # without the pair itself, which S has on top
    near, far = order[:, first], order[:, first + 1]
    image, text = (0.7 * x + 0.2 * x[near] + 0.1 * x[far] for x in (image, text))
    h_i, h_t, h, rebuilt_i, rebuilt_t = network(image, text, s)
    loss = 10 * (mse_loss(rebuilt_i, image) + mse_loss(rebuilt_t, text))
    for x in (h_i, h_t, h):
        loss = loss + mse_loss(s, normalize(x) @ normalize(x).T)
    return loss + mse_loss(h, h.sign()), h.detach().sign()


def second_stage(h_i, h_t, codes, s):
    """``train_Hashfunc`` on a batch."""
    n_i, n_t = normalize(h_i), normalize(h_t)
    structure = mse_loss(n_i @ n_t.T, s) + mse_loss(n_i @ n_i.T, s) + mse_loss(n_t @ n_t.T, s)
    return mse_loss(h_i, codes) + mse_loss(h_t, codes) + mse_loss(h_i, h_t) + 0.01 * structure
