"""Code of components that computes exactly the same results as earlier code: hash now to hash then.

Cells name the code behind them by its hash, so that edited code is never shown an old number. Where an edit changes no
bit of any result, its line here lets records and cached features stand. Whoever edits that code again does one of two
things: show that results stay bit-equal (tests/plugins/test_same_results.py) and bring the line up to date, or drop the
line, which makes new cells.

The hashes of syntax trees differ between versions of Python, so each line stands once for each version.
"""

from __future__ import annotations

from harness import hookimpl
from harness.plugin.hookspecs import RegisterSameResults

SAME_RESULTS = {
    # Python 3.11
    "7856eb48ebbf273b": "eeb249e0be6be82b",  # cca-itq
    "447b07d9baaa8991": "5e26edcf600673ca",  # cirh
    "320c3fc80a24920e": "300dfb83b30f2cb3",  # clip-sign, lsh
    "1f9429266d559d9a": "e5131faa1b524bc5",  # cmfh
    "69618b8667c963b6": "c180913a55989690",  # contrastive
    "03c1c315c1c2777a": "9049718645289dcf",  # cvh
    "8158a26ba9bb484a": "6b233ba30676da17",  # dgcpn
    "6511d9d2a9d5ee14": "19f004dc3aba75ad",  # djsrh
    "3c9e5b0eaf7777e9": "4ba650dbaf9bdac8",  # dsah
    "3e0aec98a9d0ee1e": "f6935f88c03d5b64",  # duch
    "0e38f69abd2b1c30": "d3bdef1c05e16d69",  # fsh
    "50a0966a069e9759": "100bba5afc0cfd64",  # imh
    "3331e4e706da290d": "ab4f7dd805320d1c",  # jdsh
    "56eb7383721ac14d": "0d38a508979d9748",  # mlp-ntxent
    "f2c1e73b5dd892ca": "1234e0306ed6d26d",  # pls-itq
    "a0437a4dff731ebe": "b5b19d4f1bdd18fc",  # random-codes
    "48c811de6b40f002": "26e05b6083531a2c",  # rfdh
    "5ba23de80b51d2ec": "e7c03c4a08c82a00",  # ucch
    "2e5a41fd2ad6ea47": "a5f1a18de6ce22e3",  # adversarial
    "7b38cb4232cc037a": "60912104f70f71c8",  # cca-consistency
    "a519287e19f5fa09": "09975cfa01dc75f1",  # clip-similarity
    "101c4001196077e8": "d727ebc8dd00e214",  # evidential
    "f86dd95fd23e6b50": "517c952eb59bcea4",  # loss-bmm, loss-gmm
    "e0a72514268d01b3": "717e73b68d5228bc",  # meta-similarity
    "1fe6ebb2f4d01ae7": "ff16da0a4aa22b40",  # none, oracle
    "79b6bb2e7a5e43e4": "3802015674c16f4f",  # self-refine
    "9f8fe116c833b7c3": "1db8d7187508d0a7",  # structure
    "22dee833fca8f01f": "7e7634f4e0a7a6c9",  # active-complementary, complementary, gce, soft-margin
    "30551b09dd0d5466": "91002405edc12b70",  # evidential-loss
    "ca93114c3f75682c": "c3caa263b36cbc9d",  # nt-xent
    "13b65cbe875ac09e": "d6e99b2b0c77d4ba",  # chnr-released
    "1e884cebf79ac7f6": "83ba84e3a4b21919",  # cross-class, derangement, given, shuffle
    "1cd13b2792d02581": "ffb2397398596971",  # index-file, mixed, within-class, word
    "8549adfbc0f8eac9": "95909d7e63f830a6",  # tfidf-svd, random-indexing
    "2b438de9ab7daa01": "cfd405b6e7100223",  # open_clip
    "a1fbbb937b8929b9": "04839e3e3be2577c",  # sentence-transformers
    "caab25c8f5b935dc": "98a9ad301d51af56",  # torchvision
    "f468e73156949639": "151ec49183dbc323",  # transformers
    "713569115b64bcf0": "48704c8bb874c500",  # transformers-clip
    "8b87ba2b81e0c7e8": "f386847fcc98e05b",  # transformers-vision
    # Python 3.12
    "0cbd1486d6cd7b56": "1202b6ced3ef5b26",  # cca-itq
    "54fec0a0cc1881e4": "b1a86ce66cbb1287",  # cirh
    "482232c65f8023d4": "c32b7025f042ad9f",  # clip-sign, lsh
    "541ed3a1e165c182": "cd1be0425ca2f538",  # cmfh
    "1a9687c114553252": "1937e23c99573f9b",  # contrastive
    "c0c71871a4eaede2": "543c3b06f6e2f12b",  # cvh
    "88ef61aef9d1930c": "2818afdf5615314a",  # dgcpn
    "c0664d1759c104dd": "37676082c634fb71",  # djsrh
    "ba097ed47694d681": "c96f16d6f43a425c",  # dsah
    "bd4f643160cd926c": "0db82bbcabb5b192",  # duch
    "0d9ee01989349b1b": "136dfa43825c405f",  # fsh
    "a4dd10b50f83ae79": "07279313bc1222f5",  # imh
    "a16b61cda033b30f": "01e47b43c45a5d30",  # jdsh
    "6af357cde0ef654d": "fedfdce3a78c1c2e",  # mlp-ntxent
    "77ec42713d08f1d9": "092c4d3351478f06",  # pls-itq
    "d7fec5e95c77710e": "68541fbaf5c60357",  # random-codes
    "31b2e41ae29d991f": "401dc331da9af7ff",  # rfdh
    "14aff25e4cfa2c24": "a45641286076ae29",  # ucch
    "ea1edb93cb28073d": "eb6936b65c565722",  # adversarial
    "9306c54de1f1db63": "d836d502843667bf",  # cca-consistency
    "c0c87656d94267d2": "d974f75c560e7ea3",  # clip-similarity
    "76ec83dac6708384": "c4d0d227292f3bbb",  # evidential
    "998add81f3419f24": "a26b5cbc0345dc16",  # loss-bmm, loss-gmm
    "6cf18f51bc2d362e": "5b298cafeed82a02",  # meta-similarity
    "adab0e8ae3342aec": "7bd33359deff3366",  # none, oracle
    "6c5c2830f1c929ed": "d9eb9cf95518e725",  # self-refine
    "150525b0cbd55a29": "fc7f2d23f4ea8e57",  # structure
    "5c46ce37266f0169": "59e56e478f4e8682",  # active-complementary, complementary, gce, soft-margin
    "6e49b9d35ce3ee5e": "95e9e9cbf0331c30",  # evidential-loss
    "a2025a21af271809": "253b7b0830984ee1",  # nt-xent
    "8a54cc5ced6bb5a1": "54cd259ceefb594e",  # chnr-released
    "8b753158b1ec3913": "fdea7a1a0658376b",  # cross-class, derangement, given, shuffle
    "eb935f32b873b71f": "e5057eb21ea820d0",  # index-file, mixed, within-class, word
    "e3e187ed09d63560": "2c71371ff3d8042d",  # tfidf-svd, random-indexing
    "a94b983a9b55314a": "075c96a1e232642d",  # open_clip
    "b0594487707b76a0": "392225eecb515109",  # sentence-transformers
    "01726da624376219": "0b74d4e8c0297e3d",  # torchvision
    "e6e4fceaf9cbf388": "00e271301b891e15",  # transformers
    "71d8a4f47b9e3303": "8206c3da843fd7a0",  # transformers-clip
    "738d34ce9c6cbc3b": "f2c6b941bf93075b",  # transformers-vision
    # Python 3.13
    "3986753d5af60992": "6e3a77237f19f2be",  # cca-itq
    "7f6a1aeee4f88455": "14116e26c7f4c5fc",  # cirh
    "a37a0f184acc2a56": "71da09000041352b",  # clip-sign, lsh
    "d918ec328406bc40": "6e194681eb89f148",  # cmfh
    "04138a0280afc31a": "b32364f1a3a651f5",  # contrastive
    "7be729222552c287": "8d923c1bf7bf27e4",  # cvh
    "00be49f1b60a4853": "d2343b99c1a6e914",  # dgcpn
    "c6e130c50e9e7cce": "2a1b0376f315939b",  # djsrh
    "ae8061043af7483b": "ff05bc2a404b45a1",  # dsah
    "f422be74d27f607e": "c07899e604c7e571",  # duch
    "501ea5bb152a7840": "38f108a9db7f0a24",  # fsh
    "4753a211196b8db2": "f7f4783fc97c17d8",  # imh
    "a3454da8fd3b5e9f": "b6baf021089ccc3e",  # jdsh
    "58fb9ac9fdc91b43": "1467010e03b0d4d6",  # mlp-ntxent
    "ea8b3fbd93b421e2": "b5ff9fb5a7ea2608",  # pls-itq
    "58fe44b17e0d6137": "b7f752e31579c1d5",  # random-codes
    "48c47725ec3381d8": "16b3b46566b5d9e7",  # rfdh
    "cd071fb79bd63029": "873b443225062382",  # ucch
    "3cee4bd0b3162783": "769293e79a9d54b8",  # adversarial
    "e516547da12a327b": "836ffb943488907d",  # cca-consistency
    "eeabc2c3693f0b79": "011e19e36900a7f4",  # clip-similarity
    "4fbf7ba996a37977": "8554eb5e5e2fdb21",  # evidential
    "97c72c23020af4f6": "81b8d091dbbdaff6",  # loss-bmm, loss-gmm
    "eafa1372e092b3d5": "51b75ad9a3b60c11",  # meta-similarity
    "deeee4e318299b52": "702fcf87687e6bf3",  # none, oracle
    "8fe64bb4cdc4698e": "b1cce908365afc2d",  # self-refine
    "0d586ec9d1e38cca": "65686c12266ad727",  # structure
    "cee69d961118d2f5": "74e31775f9f37140",  # active-complementary, complementary, gce, soft-margin
    "36d1208026952cad": "93fc6dfe45395a66",  # evidential-loss
    "b45f599a0d27814d": "7f0488f1e2a80946",  # nt-xent
    "e3189acbaefa21c5": "3b6a82ebdfa1779a",  # chnr-released
    "680d7f67e446af2c": "4c40fe22bd16a602",  # cross-class, derangement, given, shuffle
    "11ce23f3672472cc": "c7a563c82fcef849",  # index-file, mixed, within-class, word
    "24ef301342627b1a": "c3024d8ab5700f5f",  # tfidf-svd, random-indexing
    "92d327ec208d7c83": "35d7fa1a0b44a6a9",  # open_clip
    "af8afc48808e2234": "a56d9777c207ce4a",  # sentence-transformers
    "e6f7a40506761445": "87d49bd9dc60b7b8",  # torchvision
    "eb3e0b066d7d48cc": "a2408d89e52e044b",  # transformers
    "72651f0d19e8171f": "b228c7ea5ebdf4e4",  # transformers-clip
    "527e961117fcfa50": "45423764b7b69279",  # transformers-vision
}
"""All of them: on 30 November 2026 imports of the core ceased to count in the hashes, so that its modules can move, and
signatures were typed. ``adversarial`` was divided into functions that have names, as well."""


@hookimpl
def register_same_results(register: RegisterSameResults) -> None:
    """Register them."""
    register(SAME_RESULTS)
