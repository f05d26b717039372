"""The experiments of the paper's tables and figures: what each row measures."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, get_args

from camseek.config import Encoding
from camseek.lab.paper import numbers
from camseek.lab.paper.numbers import Numbers
from camseek.searching import Plan

TableName = Literal["1a", "1b", "2a", "2b"]
FigureName = Literal["4", "5a", "5b"]
Slot = Literal["VGG-16", "ResNet-50", "DenseNet-161"]

TABLE_NAMES: tuple[TableName, ...] = get_args(TableName)
FIGURE_NAMES: tuple[FigureName, ...] = get_args(FigureName)
PAPER_MODELS: dict[Slot, str] = {
    "VGG-16": "vgg16-cam",
    "ResNet-50": "resnet50",
    "DenseNet-161": "densenet161",
}
"""The names that the paper's networks must have been imported by."""

CLASSES = 64
"""N_C of the tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleKind:
    """The vectors that a whitening is fitted on.

    Attributes:
        family: The encoding, its number of classes left open.
        classes: N_pca.
        predefined: Whether they are of the first classes of a list, the same for all pictures.
        one_each: Whether some are drawn, as many as there are pictures.
    """

    family: Encoding
    classes: int
    predefined: bool
    one_each: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One way to search, before it is fitted to a network and a data set.

    Attributes:
        encoding: What describes pictures.
        whitened: Whether PCA-whitening follows.
        sample_classes: N_pca (``cam`` only).
        plan: Aggregation, expansion and re-ranking.
        predefined: Whether the first classes of a list are summed, and the whitening fitted on the first of
            the same list, in place of each picture's own (paper section 4.3).
        one_each: Whether the whitening is fitted on as many vectors as there are pictures (``rmac`` only,
            which has several a picture).
    """

    encoding: Encoding
    whitened: bool = True
    sample_classes: int = 1
    plan: Plan = field(default_factory=Plan)
    predefined: bool = False
    one_each: bool = False

    @property
    def samples(self) -> "SampleKind":
        """What its whitening is fitted on: encodings that differ in the number of classes share one."""
        return SampleKind(
            family=self.encoding.with_classes(1),
            classes=self.sample_classes,
            predefined=self.predefined,
            one_each=self.one_each,
        )

    @property
    def needs_classifier(self) -> bool:
        """Whether a plain backbone cannot do it."""
        return self.encoding.name == "cam" or self.plan.needs_classifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a table of the paper.

    Attributes:
        slot: The paper's network.
        label: What it is called.
        paper: Its numbers.
        experiment: What measures it here; None for what is only quoted.
        against: What the difference is from, where that is not the number printed.
        seconds: The paper's cost an image (table 1b).
        dimensions: The paper's, as it prints them; empty where this is ours alone.
    """

    slot: Slot = "VGG-16"
    label: str
    paper: Numbers
    experiment: Experiment | None
    against: Numbers | None = None
    seconds: float | None = None
    dimensions: str = "512"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """One table of the paper."""

    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def _experiment(encoding: str, *, whitened: bool = True, plan: Plan | None = None) -> Experiment:
    return Experiment(encoding=Encoding.parse(encoding), whitened=whitened, plan=plan or Plan())


# The paper describes every picture anew for every query. How many classes, the encoding says.
_ONLINE_PLAN = Plan.of("online", shortlist=None)


def cams(count: int = CLASSES, *, sample_classes: int = 1, online: bool = False) -> Experiment:
    """Class-weighted features of N_C classes."""
    return Experiment(
        encoding=Encoding.parse("cam").with_classes(count),
        sample_classes=sample_classes,
        plan=_ONLINE_PLAN if online else Plan(),
    )


def predefined(count: int, *, sample_classes: int = 1) -> Experiment:
    """Class-weighted features of the first N_C classes of a list (paper section 4.3)."""
    return replace(cams(count, sample_classes=sample_classes), predefined=True)


_RAW = _experiment("sum", whitened=False)
_RAW_PCA = _experiment("sum")
_OFFLINE = cams()
_ONLINE = cams(online=True)
_UNWHITENED = replace(_OFFLINE, whitened=False)


def _ours_alone(label: str, experiment: Experiment) -> Row:
    """A row that the paper does not have."""
    return Row(label=label, paper=numbers.NONE, experiment=experiment, dimensions="")


def _after(first: Experiment, *, expand: int = 0, rerank: int = 0, with_query: bool = False) -> Experiment:
    then = Plan.of(rerank=rerank, expand=expand, expand_with_query=with_query).then
    return replace(first, plan=replace(first.plan, then=(*first.plan.then, *then)))


_TABLE_1A = TableSpec(
    title="Table 1a: mAP of raw features, CroW's channel weights, PCA-whitening, class activation maps",
    rows=(
        Row(label="raw sum-pooling", paper=numbers.RAW, experiment=_RAW),
        Row(
            label="raw + CroW",
            paper=numbers.RAW_CROW,
            experiment=_experiment("sum:weights=channel", whitened=False),
        ),
        Row(label="raw + PCA", paper=numbers.RAW_PCA, experiment=_RAW_PCA),
        Row(
            label="raw + CroW + PCA",
            paper=numbers.RAW_CROW_PCA,
            experiment=_experiment("sum:weights=channel"),
        ),
        _ours_alone("64 CAMs, no PCA", _UNWHITENED),
        Row(label="64 CAMs", paper=numbers.OFFLINE, experiment=_OFFLINE),
        Row(
            slot="ResNet-50",
            label="raw sum-pooling",
            paper=numbers.RESNET_RAW,
            experiment=_RAW,
            dimensions="2048",
        ),
        Row(slot="ResNet-50", label="64 CAMs", paper=numbers.RESNET_CAMS, experiment=_OFFLINE),
        Row(
            slot="DenseNet-161",
            label="raw sum-pooling",
            paper=numbers.DENSENET_RAW,
            experiment=_RAW,
            dimensions="2208",
        ),
        Row(slot="DenseNet-161", label="64 CAMs", paper=numbers.DENSENET_CAMS, experiment=_OFFLINE),
    ),
    notes=(
        "CroW stands for its channel weights alone; without PCA nothing is whitened. 64 CAMs without PCA are "
        "no row of the paper.",
    ),
)
_TABLE_1B = TableSpec(
    title="Table 1b: what a picture costs, and mAP",
    rows=(
        Row(
            label="raw + PCA",
            paper=numbers.COST_RAW_PCA,
            experiment=_RAW_PCA,
            against=numbers.RAW_PCA,
            seconds=numbers.SECONDS_RAW_PCA,
        ),
        *(
            Row(
                label=f"{count} CAM{'s' if count > 1 else ''}",
                paper=paper,
                experiment=cams(count),
                seconds=numbers.SECONDS_CAMS[count],
            )
            for count, paper in numbers.COST_CAMS.items()
        ),
    ),
    notes=(
        "The paper prints 0.420 for raw + PCA, which is table 1a's raw + CroW: a fault of its table. The "
        "difference is from table 1a's 0.589.",
        "The paper's seconds are those of its graphics card. Ours: one network pass and the encoding, one "
        "thread, decoding left out, the median of some pictures; the factor is that over the pass alone.",
    ),
)
_TABLE_2A = TableSpec(
    title="Table 2a: mAP beside other off-the-shelf features, plain search",
    rows=(
        Row(label="SPoC", paper=numbers.SPOC, experiment=_experiment("spoc"), dimensions="256"),
        Row(label="uCroW", paper=numbers.UCROW, experiment=_experiment("ucrow"), dimensions="256"),
        Row(label="CroW", paper=numbers.CROW, experiment=_experiment("crow")),
        Row(label="R-MAC", paper=numbers.RMAC, experiment=_experiment("rmac")),
        _ours_alone("R-MAC, samples as the others", replace(_experiment("rmac"), one_each=True)),
        Row(label="BoW, 25k words", paper=numbers.BOW, experiment=None, dimensions="25k"),
        Row(label="Razavian, 32k", paper=numbers.RAZAVIAN, experiment=None, dimensions="32k"),
        Row(label="OfA, 64 CAMs", paper=numbers.OFFLINE, experiment=_OFFLINE),
        Row(label="OnA, 64 CAMs", paper=numbers.ONLINE, experiment=_ONLINE),
    ),
    notes=(
        "The paper quotes the others from their papers, whose sizes and dimensions differ. Ours are encoded "
        "alike. BoW and Razavian are quoted only. uCroW is raw + PCA.",
        "All but R-MAC are whitened alike, on one vector a picture. R-MAC is whitened as its authors do, on "
        "the vectors of all regions: many times the samples, and more dimensions where the samples limit "
        "those of the others. The row below it has as many samples (regions drawn at random) and dimensions "
        "as the others: that one is to be compared with them.",
    ),
)
_TABLE_2B = TableSpec(
    title="Table 2b: mAP with query expansion (QE) and re-ranking (R)",
    rows=(
        Row(
            label="CroW, QE 10",
            paper=numbers.CROW_QE,
            experiment=_after(_experiment("crow"), expand=10, with_query=True),
        ),
        Row(label="R-MAC, R 1000, QE 5", paper=numbers.RMAC_RERANKED, experiment=None),
        Row(label="BoW, R 100, QE 10", paper=numbers.BOW_RERANKED, experiment=None, dimensions="25k"),
        Row(label="OfA, QE 10", paper=numbers.OFFLINE_QE, experiment=_after(_OFFLINE, expand=10)),
        Row(label="OnA, QE 10", paper=numbers.ONLINE_QE, experiment=_after(_ONLINE, expand=10)),
        _ours_alone("OfA, R 100", _after(_OFFLINE, rerank=100)),
        _ours_alone("OnA, R 100", _after(_ONLINE, rerank=100)),
        Row(
            label="OfA, R 100, QE 10",
            paper=numbers.OFFLINE_100,
            experiment=_after(_OFFLINE, expand=10, rerank=100),
        ),
        Row(
            label="OnA, R 100, QE 10",
            paper=numbers.ONLINE_100,
            experiment=_after(_ONLINE, expand=10, rerank=100),
        ),
        _ours_alone("OfA, R 1000", _after(_OFFLINE, rerank=1000)),
        _ours_alone("OnA, R 1000", _after(_ONLINE, rerank=1000)),
        Row(
            label="OfA, R 1000, QE 5",
            paper=numbers.OFFLINE_1000,
            experiment=_after(_OFFLINE, expand=5, rerank=1000),
        ),
        Row(
            label="OnA, R 1000, QE 5",
            paper=numbers.ONLINE_1000,
            experiment=_after(_ONLINE, expand=5, rerank=1000),
        ),
    ),
    notes=(
        "R-MAC with re-ranking is quoted only: its own way to find regions is not the class activation "
        "maps', and is not implemented here. So is BoW.",
        "CroW's expansion sums the query too, the paper's does not.",
        "Re-ranking without expansion is no row of the paper: it shows what each of the two does.",
    ),
)

TABLES: dict[TableName, TableSpec] = {"1a": _TABLE_1A, "1b": _TABLE_1B, "2a": _TABLE_2A, "2b": _TABLE_2B}
"""The tables of the paper: 1a and 1b of section 4.3, 2a of 4.4, 2b of 4.5."""


def _grid(experiment: Callable[..., Experiment]) -> dict[str, dict[int, Experiment]]:
    """A line over N_C for each N_pca."""
    return {
        f"N_pca {samples}": {
            count: experiment(count, sample_classes=samples) for count in numbers.GRID_CLASSES
        }
        for samples in numbers.GRID_SAMPLE_CLASSES
    }


FIGURES: dict[FigureName, dict[str, dict[str, dict[int, Experiment]]]] = {
    "4": {"OfA": _grid(cams), "OnA": _grid(partial(cams, online=True))},
    "5a": {},
    "5b": {"OfA, predefined classes": _grid(predefined)},
}
"""The panels of the figures, their lines, and the experiments of each over N_C (paper section 4.3)."""
