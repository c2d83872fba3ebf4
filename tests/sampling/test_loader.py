import itertools
import sys

import torch

from medssl.sampling.loader import PairLoader
from medssl.sampling.pairs import PairConfig, PairSampler
from medssl.store.schema import PARTICIPANT


def loader(store, total=20):
    rows = store.rows(modality="ppg")
    sampler = PairSampler(
        rows, store.column(PARTICIPANT, rows), batch_size=50, config=PairConfig(), seed=1
    )
    return PairLoader(store, sampler, total=total)


def same(left, right):
    return left["position"] == right["position"] and all(
        torch.equal(left[k], right[k]) for k in ("first", "second", "participants")
    )


def test_a_loader_can_start_anywhere(ppg_store):
    whole = list(loader(ppg_store))
    assert [b["position"] for b in whole] == list(range(20))
    for start in (0, 1, 2, 3, 7, 19, 20):
        resumed = loader(ppg_store)
        resumed.load_state_dict({"position": start})
        rest = list(resumed)
        assert len(rest) == 20 - start
        assert all(itertools.starmap(same, zip(rest, whole[start:], strict=True)))


def test_only_batches_handed_out_are_counted(ppg_store):
    made = loader(ppg_store)
    iterator = iter(made)
    for expected in (1, 2, 3):
        next(iterator)
        assert made.state_dict() == {"position": expected}
    iterator.close()


def test_batches_hold_what_the_store_holds(ppg_store):
    batch = next(iter(loader(ppg_store)))
    assert batch["first"].shape == (50, 1, 64)
    assert batch["first"].dtype == torch.float32
    assert not torch.equal(batch["first"], batch["second"])
    assert batch["participants"].unique().numel() == 50


def test_no_file_is_opened_for_a_batch_once_the_shards_are_mapped(ppg_store):
    opened = []
    watching = False

    def hook(event, arguments):
        if watching and event == "open":
            opened.append(arguments[0])

    sys.addaudithook(hook)
    batches = iter(loader(ppg_store))
    list(itertools.islice(batches, 2))  # the first maps the shards
    watching = True
    rest = list(batches)
    watching = False
    assert len(rest) == 18
    assert opened == []
