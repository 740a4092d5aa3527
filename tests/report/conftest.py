import pytest

from tests.report.grid import save_grid

HOSTILE = '</script><script>document.title="taken"</script><b>&amp;"'


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """A results folder with two rankings and an ablation."""
    folder = tmp_path_factory.mktemp("report") / "results"
    save_grid(folder, ["lan", "unet", HOSTILE])
    for bases in (1, 4, 16):
        model = {"model": {"_target_": "MetaISP", "num_bases": bases}}
        save_grid(
            folder, ["metaisp"], (0, 1), "photos-v1-one-camera/original-gt", model, f"num_bases={bases}", bases / 4
        )
    save_grid(folder, ["unet"], (0,), "photos-v1-one-camera/original-gt")
    return folder
