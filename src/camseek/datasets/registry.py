"""The public data sets that papers on instance search report: where each is, how it looks, how it is scored.

Nothing is fetched here: most ask for terms to be read first. What is told of each set says where it was
checked, and what is told from memory.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from camseek.arguments import meant
from camseek.errors import GroundTruthError

Family = Literal["oxford5k", "paris6k", "roxford5k", "rparis6k", "holidays", "ukbench", "instre"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One data set and its protocol.

    Attributes:
        name: As ``camseek evaluate NAME=FOLDER`` takes it.
        title: Its name in papers.
        family: Which reader reads it.
        about: What it shows, and the paper it comes from.
        pages: Its official pages.
        downloads: Its files' addresses.
        tree: How the folder must look.
        pictures: Pictures of the database that can be used, without distractors.
        distractors: Further pictures, positive to no query; 0 for none.
        queries: Queries.
        protocol: How it is scored.
        terms: Under which terms it may be used, as far as known.
        checked: Which of these facts were checked, and against what.
        memory: Which were not.
    """

    name: str
    title: str
    family: Family
    about: str
    pages: tuple[str, ...]
    downloads: tuple[str, ...]
    tree: str
    pictures: int
    distractors: int = 0
    queries: int
    protocol: str
    terms: str
    checked: str
    memory: str

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        told = asdict(self)
        return {**told, "pages": list(self.pages), "downloads": list(self.downloads)}


def known_datasets() -> dict[str, Dataset]:
    """Every data set by its name."""
    return dict(_ALL)


def dataset(name: str) -> Dataset:
    """One data set; case does not count.

    Raises:
        GroundTruthError: There is none of that name.
    """
    if (found := _ALL.get(name.strip().lower())) is None:
        raise GroundTruthError(
            f"there is no data set {name!r}{meant(name, _ALL)}", remedy=f"known are {', '.join(_ALL)}"
        )
    return found


_VGG = "https://www.robots.ox.ac.uk/~vgg/data"
_CMP = "http://cmp.felk.cvut.cz/revisitop"
_PTAK = "http://ptak.felk.cvut.cz/revisitop/revisitop1m"

_BUILDINGS_PROTOCOL = (
    "Each of 11 landmarks has 5 queries: a picture and a box in it, which is cropped. The query's own "
    "picture is in the database and listed among the positives, which are good + ok. Junk leaves the "
    "ranking. Average precision is trapezoidal: the precision-recall curve begins at precision 1 and has "
    "straight lines (compute_ap). The mean over 55 queries."
)
_REVISITED_PROTOCOL = (
    "70 queries, cropped to their boxes; their own pictures are not in the database. Trapezoidal average "
    "precision in three setups. Easy: positives easy, ignored hard + junk. Medium: positives easy + hard, "
    "ignored junk. Hard: positives hard, ignored easy + junk. Ignored pictures leave the ranking; "
    "queries without positives in a setup are left out of its mean. Mean precision at k = 1, 5, 10 divides "
    "by k, or by the last positive's rank where that is less."
)
_VGG_TERMS = (
    "The pictures are Flickr's: use must respect Flickr's terms, and Oxford's Terms of Access, which the "
    "page names; there is a privacy notice."
)
_REVISITED_TERMS = (
    "The pictures are those of Oxford5k and Paris6k, on their terms. No licence of the labels is known here."
)
_FLICKR_TREE = "  oxc1_100k/WORD/*.jpg           the distractors, here or beside FOLDER\n"
_MILLION_TREE = (
    "  revisitop1m/                   the distractors, here or beside FOLDER\n"
    "    revisitop1m.txt              their names, one a line, beneath jpg\n"
    "    jpg/...\n"
)
_OXFORD_TREE = (
    "FOLDER/\n"
    "  jpg/*.jpg                      the pictures (or images/, oxbuild_images/, or FOLDER itself)\n"
    "  gt_files_170407/*.txt          the ground truth (or gt_files/, gt/, or FOLDER itself)\n"
)
_PARIS_TREE = (
    "FOLDER/\n"
    "  paris/LANDMARK/*.jpg           the pictures, in folders or flat (or jpg/, images/, FOLDER itself)\n"
    "  gt_files_120310/*.txt          the ground truth (or paris_120310/, gt_files/, gt/, or FOLDER itself)\n"
)
_FLICKR_ABOUT = ", with 100,000 pictures of Flickr's most popular words as distractors"
_FLICKR_DOWNLOADS = (f"{_VGG}/oxbuildings/ox100k/oxc1_100k.partNN.rar, NN from 01 to 40",)
_FLICKR_CHECKED = " Names and addresses of the distractors' archives and their folder: scripts that use them."
_FLICKR_MEMORY = " The number of distractors; the address of their page."
_MILLION_ABOUT = ", with R1M, a million hard distractors"
_MILLION_DOWNLOADS = (f"{_PTAK}/jpg/revisitop1m.N.tar.gz, N from 1 to 100", f"{_PTAK}/revisitop1m.txt")
_MILLION_MEMORY = " The number of distractors."

_OXFORD = Dataset(
    name="oxford5k",
    title="Oxford5k",
    family="oxford5k",
    about="Buildings of Oxford, from Flickr: 11 landmarks of 5 queries (Philbin et al., Object Retrieval "
    "with Large Vocabularies and Fast Spatial Matching, CVPR 2007)",
    pages=(f"{_VGG}/oxbuildings/",),
    downloads=(
        f"{_VGG}/oxbuildings/oxbuild_images.tgz (or oxbuild_images-v1.tgz)",
        f"{_VGG}/oxbuildings/gt_files_170407.tgz",
    ),
    tree=_OXFORD_TREE,
    pictures=5063,
    queries=55,
    protocol=_BUILDINGS_PROTOCOL,
    terms=_VGG_TERMS,
    checked="Labels, landmarks and terms: a stored copy of its page. Archives' names and addresses, 5,063 "
    "pictures (the page says 5,062): scripts that use them, and 4,993 + 70 of ROxford5k.",
    memory="That addresses still answer; how compute_ap treats ties.",
)
_PARIS = Dataset(
    name="paris6k",
    title="Paris6k",
    family="paris6k",
    about="Landmarks of Paris, from Flickr: 11 landmarks of 5 queries (Philbin et al., Lost in Quantization, "
    "CVPR 2008). Of 6,412 files 20 are known to be no pictures",
    pages=(f"{_VGG}/parisbuildings/", f"{_VGG}/parisbuildings/corrupt.txt"),
    downloads=(
        f"{_VGG}/parisbuildings/paris_1.tgz (or paris_1-v1.tgz)",
        f"{_VGG}/parisbuildings/paris_2.tgz (or paris_2-v1.tgz)",
        f"{_VGG}/parisbuildings/paris_120310.tgz",
    ),
    tree=_PARIS_TREE,
    pictures=6392,
    queries=55,
    protocol=_BUILDINGS_PROTOCOL + " The 20 files that are no pictures are left out.",
    terms=_VGG_TERMS,
    checked="The 20 names (several programs that leave them out agree), 6,412 files, the archives, "
    "their folders: scripts that use them; 6,392 = 6,322 + 70 of RParis6k.",
    memory="Terms (taken to be Oxford5k's); that addresses still answer.",
)
_ROXFORD = Dataset(
    name="roxford5k",
    title="ROxford5k",
    family="roxford5k",
    about="Oxford5k with new labels and 15 more queries (Radenović et al., Revisiting Oxford and Paris: "
    "Large-Scale Image Retrieval Benchmarking, CVPR 2018)",
    pages=(f"{_CMP}/", "https://github.com/filipradenovic/revisitop"),
    downloads=(
        f"{_VGG}/oxbuildings/oxbuild_images.tgz (or oxbuild_images-v1.tgz)",
        f"{_CMP}/data/datasets/roxford5k/gnd_roxford5k.pkl (or .mat)",
    ),
    tree="FOLDER/\n"
    "  jpg/*.jpg                      the pictures of Oxford5k (or images/, oxbuild_images/, FOLDER itself)\n"
    "  gnd_roxford5k.pkl              the ground truth (or .mat or .json; here or beside FOLDER)\n",
    pictures=4993,
    queries=70,
    protocol=_REVISITED_PROTOCOL,
    terms=_REVISITED_TERMS,
    checked="Protocol, setups, precision at k, trapezoid, file names, addresses: the authors' scripts.",
    memory="4,993 pictures; that addresses still answer.",
)
_RPARIS = Dataset(
    name="rparis6k",
    title="RParis6k",
    family="rparis6k",
    about="Paris6k with new labels and 15 more queries (Radenović et al., CVPR 2018)",
    pages=_ROXFORD.pages,
    downloads=(*_PARIS.downloads[:2], f"{_CMP}/data/datasets/rparis6k/gnd_rparis6k.pkl (or .mat)"),
    tree="FOLDER/\n"
    "  jpg/*.jpg                      the pictures of Paris6k, flat or in folders (or images/, paris/, ...)\n"
    "  gnd_rparis6k.pkl               the ground truth (or .mat or .json; here or beside FOLDER)\n",
    pictures=6322,
    queries=70,
    protocol=_REVISITED_PROTOCOL,
    terms=_REVISITED_TERMS,
    checked=_ROXFORD.checked,
    memory="6,322 pictures; that addresses still answer.",
)
_HOLIDAYS = Dataset(
    name="holidays",
    title="Holidays",
    family="holidays",
    about="Holiday photographs, 500 scenes and objects (Jégou, Douze and Schmid, Hamming Embedding and Weak "
    "Geometry Consistency, ECCV 2008)",
    pages=("https://lear.inrialpes.fr/people/jegou/data.php.html",),
    downloads=(
        "ftp://ftp.inrialpes.fr/pub/lear/douze/data/jpg1.tar.gz",
        "ftp://ftp.inrialpes.fr/pub/lear/douze/data/jpg2.tar.gz",
    ),
    tree="FOLDER/\n  jpg/100000.jpg ...             the pictures (or images/, or FOLDER itself)\n",
    pictures=1491,
    queries=500,
    protocol="Of each hundred numbers the first picture is a query and the others are its positives. The "
    "whole picture is the query; its own picture is taken out of the ranking. Average precision is the mean "
    "of the precisions at the positives' ranks (--ap trapezoid for the other form). The mean is over all. "
    "Many papers turn the pictures upright first: here EXIF alone does.",
    terms="INRIA holds the copyright; provided as it is; the paper is to be cited.",
    checked="1,491 pictures, 500 queries, the groups, the copyright: a stored copy of its page. Archives: "
    "scripts that use them.",
    memory="How names are numbered; the form of average precision; that addresses still answer.",
)
_UKBENCH = Dataset(
    name="ukbench",
    title="UKBench",
    family="ukbench",
    about="2,550 things, four pictures of each (Nistér and Stewénius, Scalable Recognition with a Vocabulary "
    "Tree, CVPR 2006)",
    pages=("http://vis.uky.edu/~stewe/ukbench/", "https://archive.org/details/ukbench"),
    downloads=("https://archive.org/download/ukbench/ukbench.zip",),
    tree="FOLDER/\n  full/ukbench00000.jpg ...      the pictures (or jpg/, images/, or FOLDER itself)\n",
    pictures=10200,
    queries=10200,
    protocol="Every picture is a query and is in the database. N-S: how many of the four pictures of its "
    "thing (itself included) are among the first 4; the mean is between 0 and 4.",
    terms="None known; the paper is to be cited.",
    checked="Groups of four and the measure: a stored copy of its first page. 10,200 pictures, their names, "
    "the archive: scripts that use them.",
    memory="That addresses still answer.",
)
_INSTRE = Dataset(
    name="instre",
    title="INSTRE",
    family="instre",
    about="250 objects and scenes: S1 and S2 show one, M two at a time (Wang and Jiang, INSTRE: A New "
    "Benchmark for Instance-Level Object Retrieval and Recognition, 2015)",
    pages=("http://vipl.ict.ac.cn/isia/instre/", "http://cmp.felk.cvut.cz/~iscenahm/code.html"),
    downloads=(
        "ftp://ftp.irisa.fr/local/texmex/corpus/instre/instre.tar.gz",
        "ftp://ftp.irisa.fr/local/texmex/corpus/instre/gnd_instre.mat",
    ),
    tree="FOLDER/\n"
    "  INSTRE-S1/CLASS/*.jpg          the pictures, as the archive has them\n"
    "  INSTRE-S2/CLASS/*.jpg\n"
    "  INSTRE-M/CLASS/*.jpg\n"
    "  gnd_instre.mat                 the protocol of Iscen et al. (or .json)\n",
    pictures=27293,
    queries=1250,
    protocol="That of Iscen et al. (CVPR 2017): 1,250 queries, 5 of each of 250 classes, cropped to their "
    "boxes; their own pictures are not in the database of 27,293. Trapezoidal average precision; the mean "
    "over 1,250 queries. Boxes of gnd_instre.mat are read as x1, y1, x2, y2 (the .txt files beside the "
    "pictures, x, y, width, height, are not read).",
    terms="None known.",
    checked="Numbers, the form of gnd_instre.mat, the trapezoid, addresses: programs that use them. They "
    "disagree on its boxes: one warns that they are x1, y1, x2, y2 and the .txt files differ, another adds "
    "width and height; the first is followed.",
    memory="Pages; 5 queries of each class; that addresses still answer.",
)


def _larger(base: Dataset, name: str, title: str) -> Dataset:
    """A set with distractors."""
    flickr = base.family in ("oxford5k", "paris6k")
    about, downloads, tree = (
        (_FLICKR_ABOUT, _FLICKR_DOWNLOADS, _FLICKR_TREE)
        if flickr
        else (_MILLION_ABOUT, _MILLION_DOWNLOADS, _MILLION_TREE)
    )
    page = (f"{_VGG}/oxbuildings/flickr100k.html",) if flickr else ()
    return replace(
        base,
        name=name,
        title=title,
        about=base.about + about,
        pages=(*base.pages, *page),
        downloads=(*base.downloads, *downloads),
        tree=base.tree + tree,
        distractors=100_071 if flickr else 1_001_001,
        checked=base.checked + (_FLICKR_CHECKED if flickr else ""),
        memory=base.memory + (_FLICKR_MEMORY if flickr else _MILLION_MEMORY),
    )


_ALL = {
    item.name: item
    for item in (
        _OXFORD,
        _PARIS,
        _larger(_OXFORD, "oxford105k", "Oxford105k"),
        _larger(_PARIS, "paris106k", "Paris106k"),
        _ROXFORD,
        _RPARIS,
        _larger(_ROXFORD, "roxford5k+r1m", "ROxford5k with R1M"),
        _larger(_RPARIS, "rparis6k+r1m", "RParis6k with R1M"),
        _HOLIDAYS,
        _UKBENCH,
        _INSTRE,
    )
}
