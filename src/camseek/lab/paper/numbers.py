"""The paper's numbers, transcribed.

Jimenez, Alvarez and Giro-i-Nieto, *Class-Weighted Convolutional Features for Visual Instance Search* (BMVC
2017, arXiv 1707.02581), tables 1 and 2: mean average precision, as fractions, and seconds an image on the
authors' graphics card.
"""

from typing import Literal, NamedTuple

PaperSet = Literal["oxford5k", "paris6k", "oxford105k", "paris106k"]
TITLES: dict[PaperSet, str] = {
    "oxford5k": "Oxford5k",
    "paris6k": "Paris6k",
    "oxford105k": "Oxford105k",
    "paris106k": "Paris106k",
}


class Numbers(NamedTuple):
    """A row of a table of the paper; None where it has no number."""

    oxford5k: float | None = None
    paris6k: float | None = None
    oxford105k: float | None = None
    paris106k: float | None = None

    def of(self, name: str) -> float | None:
        """The number of a data set; None where there is none."""
        return getattr(self, name, None)


NONE = Numbers()

RAW = Numbers(0.396, 0.526)
RAW_CROW = Numbers(0.420, 0.549)
RAW_PCA = Numbers(0.589, 0.662)
RAW_CROW_PCA = Numbers(0.607, 0.685)
OFFLINE = Numbers(0.712, 0.805, 0.672, 0.733)
RESNET_RAW = Numbers(0.389, 0.508)
RESNET_CAMS = Numbers(0.699, 0.804)
DENSENET_RAW = Numbers(0.339, 0.495)
DENSENET_CAMS = Numbers(0.695, 0.799)

COST_RAW_PCA = Numbers(0.420)
"""As printed in table 1b: a fault, it is table 1a's raw + CroW. Raw + PCA is ``RAW_PCA``."""
COST_CAMS: dict[int, Numbers] = {
    1: Numbers(0.667),
    8: Numbers(0.709),
    32: Numbers(0.711),
    64: Numbers(0.712),
}
SECONDS_RAW_PCA = 0.5
SECONDS_CAMS: dict[int, float] = {1: 0.5, 8: 0.6, 32: 0.9, 64: 1.5}

SPOC = Numbers(0.531, None, 0.501, None)
UCROW = Numbers(0.666, 0.767, 0.629, 0.695)
CROW = Numbers(0.682, 0.796, 0.632, 0.710)
RMAC = Numbers(0.669, 0.830, 0.616, 0.757)
BOW = Numbers(0.738, 0.820, 0.593, 0.648)
RAZAVIAN = Numbers(0.843, 0.853)
ONLINE = Numbers(0.736, 0.855)

CROW_QE = Numbers(0.722, 0.855, 0.678, 0.797)
RMAC_RERANKED = Numbers(0.770, 0.877, 0.726, 0.817)
BOW_RERANKED = Numbers(0.788, 0.848, 0.651, 0.641)
ONLINE_QE = Numbers(0.760, 0.873)
OFFLINE_QE = Numbers(0.730, 0.836, 0.712, 0.791)
ONLINE_100 = Numbers(0.780, 0.874)
OFFLINE_100 = Numbers(0.773, 0.838, 0.750, 0.780)
ONLINE_1000 = Numbers(0.811, 0.874)
OFFLINE_1000 = Numbers(0.801, 0.855, 0.769, 0.800)

GRID_SAMPLE_CLASSES = (1, 16, 32, 48, 64)
"""N_pca of figures 4 and 5b."""
GRID_CLASSES = (1, *range(4, 65, 4))
"""N_C of figures 4 and 5b."""

PARIS_CLASSES = (
    "vault",
    "bell cote",
    "bannister",
    "analog clock",
    "movie theater",
    "coil",
    "pier",
    "dome",
    "pedestal",
    "flagpole",
    "church",
    "chime",
    "suspension bridge",
    "birdhouse",
    "sundial",
    "triumphal arch",
)
"""How the paper's list of predefined classes starts (section 4.3): those of the 55 Paris queries."""
