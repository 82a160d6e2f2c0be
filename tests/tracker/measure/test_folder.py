from datetime import UTC, datetime, timedelta

from tracker.measure import folder
from tracker.measure.folder import launch_folder, remove_old_folders


def test_old_folders_go_and_the_newest_stay(tmp_path, monkeypatch):
    made = [launch_folder(tmp_path, "abcdef0123") for _ in range(4)]
    assert all((path / "results").is_dir() for path in made)
    assert remove_old_folders(tmp_path) == []
    later = datetime.now(UTC) + timedelta(days=folder.KEEP_DAYS + 1)
    monkeypatch.setattr(folder, "KEEP_FOLDERS", 3)
    assert remove_old_folders(tmp_path) == [min(made)]
    assert set(remove_old_folders(tmp_path, now=later)) == set(made) - {min(made)}
    assert not any(path.exists() for path in made)
