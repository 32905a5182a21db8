"""References and parameters that several declarations of this package share. Imports nothing heavy."""

from __future__ import annotations

from harness import Parameter

NCR = "Huang et al., Learning with Noisy Correspondence for Cross-modal Matching (NCR), NeurIPS 2021"
DECL = (
    "Qin, Peng, Peng, Wang, Hu, Deep Evidential Learning with Noisy Correspondence for Cross-modal Retrieval (DECL), "
    "ACM MM 2022"
)
RCL = "Hu et al., Cross-Modal Retrieval with Partially Mismatched Pairs (RCL), TPAMI 2023"
CRCL = (
    "Qin et al., Cross-modal Active Complementary Learning with Self-refining Correspondence (CRCL), NeurIPS 2023, "
    "arXiv 2310.17468"
)
MSCN = "Han et al., Noisy Correspondence Learning with Meta Similarity Correction (MSCN), CVPR 2023"
GSC = (
    "Zhao et al., Mitigating Noisy Correspondence by Geometrical Structure Consistency Learning (GSC), CVPR 2024; Yang "
    "et al., BiCro, CVPR 2023"
)
CCA = "this project; two-groups model: Efron, Microarrays, empirical Bayes and the two-groups model, Stat. Science 2008"
MIXTURE = "Arazo et al., Unsupervised Label Noise Modeling and Loss Correction, ICML 2019"

GROUPS = Parameter(
    "groups", "mismatched",
    "How weights follow from agreement: the null is known from mismatched pairs, or both groups are Gaussians to be "
    "found.", ("mismatched", "gaussian"),
)  # fmt: skip
GUARD = Parameter(
    "guard", 0.05,
    "Trust every pair while a smaller share looks mismatched to the learner; 0: no guard, as in the paper.",
    minimum=0, maximum=1,
)  # fmt: skip
BLOCK = Parameter("block", 128, "Pairs that are compared with one another, as in the papers' batches.", minimum=2)
WARM_UP = Parameter("warm_up", 10, "Epochs before the first look.", minimum=1)
TEMPERATURE = Parameter("temperature", 0.05, "tau.", above=0)
