"""Who is compared: a line a program, whose file beside this one trains it (`train` there, see child.py)."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    name: str
    file: str
    environment: str  # ending in a number: another for other packages
    packages: tuple[str, ...]  # arguments of pip install, one call after another
    words: tuple[str, ...] = ()  # of the command line, beside what every peer gets
    option: str = ""  # only with this option, or where it is named
    has_batches: bool = False


_TORCH = ("peers-torch-1", ("recbole==1.2.1 torch==2.15.0 numpy==1.26.4 pandas==2.2.3 scipy==1.15.3",))

PEERS = (
    Peer("implicit", "implicit_bpr.py", "peers-implicit-1", ("implicit==0.7.3 numpy==2.4.6 scipy==1.17.1",)),
    Peer("cornac", "cornac_bpr.py", "peers-cornac-1", ("cornac==3.0.1 numpy==2.4.6 scipy==1.17.1",)),
    Peer(
        "lightfm",
        "lightfm_bpr.py",
        "peers-lightfm-1",
        (
            "pip==23.3.2 setuptools==68.2.2 wheel==0.47.0 numpy==2.4.6 scipy==1.17.1",
            "--no-use-pep517 --no-build-isolation lightfm==1.17",  # its setup.py knows no other way
        ),
    ),
    Peer("torch", "torch_bpr.py", *_TORCH, has_batches=True),
    Peer(
        "torch_compiled",
        "torch_bpr.py",
        *_TORCH,
        words=("--compiled",),
        option="compiled",
        has_batches=True,
    ),
    Peer("torch_sparse", "torch_bpr.py", *_TORCH, words=("--sparse",), option="exact", has_batches=True),
    Peer("recbole", "recbole_bpr.py", *_TORCH, has_batches=True),
)


if __name__ == "__main__":  # what `./run` installs: the calls of pip for an environment
    print("\n".join(next(peer.packages for peer in PEERS if peer.environment == sys.argv[1])))
