import numpy as np
import pytest

from ispbench.data.validation.diagnose import Statistics, diagnose
from ispbench.data.validation.plausibility import (
    color_agreement,
    correlation,
    gray_world,
    phase_agreements,
    raw_luminance,
    rendering_psnr,
    target_luminance,
)
from ispbench.raw.bayer import PHASE_OFFSETS
from tests.data.trees import pairs


def test_maps_of_a_pair_correlate_and_those_of_two_scenes_do_not(rng):
    scenes = list(pairs(6, rng))
    raws = [raw_luminance(mosaic, 63, 1020) for mosaic, _ in scenes]
    targets = [target_luminance(target) for _, target in scenes]
    matrix = np.array([[correlation(raw, target) for target in targets] for raw in raws])
    assert np.diag(matrix).min() > 0.9
    assert np.median(matrix[~np.eye(6, dtype=bool)]) < 0.5


def test_correlation_is_pearsons_and_undefined_for_flat_maps(rng):
    a, b = rng.random((16, 16)), rng.random((16, 16))
    assert correlation(a, b) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    assert np.isnan(correlation(a, np.full((16, 16), 0.5)))


def test_gray_world_makes_a_colored_light_gray(rng):
    mosaic = np.full((32, 32), 500, np.uint16)
    mosaic[0::2, 0::2] = 300
    mosaic[1::2, 1::2] = 400
    rendering = gray_world(mosaic, 100, 1100)
    np.testing.assert_allclose(rendering, 0.4 ** (1 / 2.2), atol=1e-5)


def test_rendering_psnr_ignores_exposure(rng):
    ramp = np.tile(np.arange(128, dtype=np.uint8), (128, 1))
    target = np.stack([ramp, ramp.T, 127 - ramp], axis=-1)
    assert rendering_psnr(target / 255 * 1.9, target) > 60
    assert rendering_psnr(1 - target / 255, target) < 20
    assert color_agreement(target / 255, target) == pytest.approx(1)


@pytest.mark.parametrize("phase", PHASE_OFFSETS)
def test_the_right_phase_agrees_best(rng, phase):
    down, right = PHASE_OFFSETS[phase]
    for mosaic, target in pairs(3, rng):
        agreements = phase_agreements(mosaic[down:, right:], target[down:, right:], 63, 1020)
        assert max(agreements, key=agreements.get) == phase


def errors(statistics, black=63, white=1020, cfa="RGGB"):
    return [(item.text, item.remedy) for item in diagnose(statistics, black, white, cfa) if item.level == "ERROR"]


def sound(**changes):
    statistics = Statistics(
        pairs=20,
        largest=1000,
        darkest=64,
        psnr=[22.0] * 20,
        psnr_from_darkest=[22.0] * 20,
        phases={"RGGB": [0.9] * 20, "GRBG": [-0.5] * 20, "GBRG": [-0.5] * 20, "BGGR": [-0.6] * 20},
        matches={str(number): 0.98 for number in range(20)},
    )
    for key, value in changes.items():
        setattr(statistics, key, value)
    return statistics


def test_sound_evidence_has_no_errors():
    assert not errors(sound())


@pytest.mark.parametrize(
    "changes, text, remedy",
    [
        ({"largest": 250}, "no RAW value exceeds 250", "data.white_level=255"),
        ({"eight_bit": 20}, "20 of 20 RAW files store 8 bits", "original archive"),
        ({"below_black": 0.2}, "20% of the RAW values lie below", "lower it"),
        ({"darkest": 120, "psnr_from_darkest": [25.0]}, "comes near data.black_level=63", "at most 120"),
        ({"phases": {"RGGB": [-0.5], "BGGR": [0.9]}}, "another CFA phase", "data.cfa=BGGR"),
        ({"psnr": [11.0]}, "below the floor of 15 dB", "data.black_level"),
        ({"matches": {"train:1": 0.1, "train:2": 0.9}}, "1 of 2 pairs hardly look alike", "ispbench data show"),
    ],
)
def test_each_mistake_is_named_with_its_remedy(changes, text, remedy):
    ((said, advice),) = errors(sound(**changes))
    assert text in said
    assert remedy in advice


def test_a_third_of_eight_bit_files_is_normal():
    assert not errors(sound(eight_bit=7))


def test_the_phase_is_told_relative_to_the_declared_one():
    statistics = sound(phases={"RGGB": [-0.5], "GRBG": [0.9]})
    ((_, remedy),) = errors(statistics, cfa="GRBG")
    assert remedy == "set data.cfa=RGGB"


def test_one_odd_pair_of_many_is_a_warning():
    matches = {str(number): 0.98 for number in range(999)} | {"odd": 0.2}
    statistics = sound(matches=matches)
    assert not errors(statistics)
    assert any(
        item.level == "warning" and item.first == ["odd (0.20)"] for item in diagnose(statistics, 63, 1020, "RGGB")
    )


def test_exchanged_pairs_are_proven(rng):
    a, b = rng.random((2, 16, 16))
    statistics = sound(matches={"a": 0.1, "b": 0.1}, suspicious={"a": (a, b), "b": (b, a)})
    ((text, _),) = errors(statistics)
    assert "exchanged" in text
