import torch

from training.batches import Batch
from training.losses import align, word_shares
from training.network import Network, Size
from training.optimizer import orthogonal


def test_alignment_finds_when_each_phoneme_is_said() -> None:
    said = {3: 1, 4: 1, 9: 2, 12: 2, 17: 3}  # phonemes by frame; the second 2 is said again
    chances = torch.full((1, 20, 5), 0.01)
    chances[:, :, 0] = 0.96
    for frame, phoneme in said.items():
        chances[0, frame] = 0.01
        chances[0, frame, phoneme] = 0.96
    phonemes = torch.tensor([[1, 2, 2, 3]])
    found = align(chances.log(), phonemes, torch.tensor([4]))
    assert found[0, 1:].tolist() == [9, 12, 17]
    assert found[0, 0] in (3, 4)


def test_alignment_takes_each_window_with_its_own_number_of_phonemes() -> None:
    chances = torch.full((2, 10, 3), 0.05)
    chances[:, :, 0] = 0.5
    chances[0, 2, 1] = chances[0, 7, 2] = chances[1, 5, 2] = 0.9
    found = align(chances.log(), torch.tensor([[1, 2], [2, 0]]), torch.tensor([2, 1]))
    assert found[0].tolist() == [2, 7]
    assert found[1, 0] == 5


def _spans(*spans: tuple[int, int], phonemes: int) -> Batch:
    """A batch of one window whose tokens stand for these phonemes, and nothing else of use."""
    nothing = torch.zeros(1, phonemes)
    first, last = torch.tensor(spans).T[:, None]
    said = nothing.long()
    return Batch(
        nothing, nothing, nothing, nothing, first, last, said, nothing, nothing, nothing, nothing
    )


def test_each_word_is_looked_at_evenly_from_its_start_to_the_next_ones() -> None:
    # "<time> one two." with phonemes at frames 10, 14 and, after a pause, 40 and 44.
    batch = _spans((-1, -1), (0, 1), (2, 3), (4, 3), phonemes=4)
    middle = torch.tensor([[10.0, 14.0, 40.0, 44.0]])
    shares = word_shares(batch, middle, 60)[0]
    _, one, two, mark = shares
    assert torch.allclose(shares.sum(-1), torch.ones(4))
    assert one.nonzero().flatten().tolist() == list(range(8, 38))
    assert torch.allclose(one[8:38], torch.full((30,), 1 / 30))
    assert two.nonzero().flatten().tolist() == list(range(38, 47))
    assert mark.nonzero().flatten().tolist() == [47]


def test_a_punctuation_mark_has_the_pause_after_its_word() -> None:
    batch = _spans((0, 1), (2, 1), (2, 3), phonemes=4)
    word, mark, following = word_shares(batch, torch.tensor([[10.0, 14.0, 40.0, 44.0]]), 60)[0]
    assert word.nonzero().flatten().tolist() == list(range(8, 17))
    assert mark.nonzero().flatten().tolist() == list(range(17, 38))
    assert following.nonzero().flatten().tolist() == list(range(38, 47))


def test_an_update_of_muon_has_even_singular_values() -> None:
    torch.manual_seed(1)
    for shape in ((16, 64), (64, 16)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        assert 0.5 < values.min() <= values.max() < 1.4


def test_sampled_padding_stands_for_all_padding_up_to_thirty_seconds() -> None:
    torch.manual_seed(1)
    network = Network(Size(32, 1, 2, 2), 1600, 10).eval()
    features = torch.randn(1, 80, 400)
    shifts = torch.zeros(1, dtype=torch.long)
    full = torch.cat([features, torch.zeros(1, 80, 2600)], 2)
    with torch.no_grad():
        whole = network.hear(full, shifts).states[:, :190]
        sampled = network.hear(features, shifts, padding=400).states[:, :190]
        alone = network.hear(features, shifts).states[:, :190]
    assert (whole - sampled).abs().mean() < 0.3 * (whole - alone).abs().mean()
