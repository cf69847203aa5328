#![cfg(unix)]

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// An empty folder with the name of the test.
fn folder() -> PathBuf {
    let name = std::thread::current().name().unwrap_or_default().replace("::", "-");
    let folder = std::env::temp_dir().join(format!("tower-responses-{name}-{}", std::process::id()));
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[test]
fn files_are_for_their_owner_only() {
    let folder = folder();
    let new = folder.join("new.db");
    make(&new);
    assert_eq!(mode(&new), 0o600);

    let old = folder.join("old.db");
    let files = [old.clone(), beside(&old, "-wal"), beside(&old, "-shm"), folder.join("other.db")];
    for file in &files {
        fs::write(file, "kept").expect("a file");
        fs::set_permissions(file, fs::Permissions::from_mode(0o664)).expect("its owner may");
    }
    make(&old);
    assert_eq!(fs::read(&old).expect("a file"), b"kept");
    tighten(&old);
    assert_eq!(files.map(|file| mode(&file)), [0o600, 0o600, 0o600, 0o664]);
    let _ = fs::remove_dir_all(folder);
}

#[test]
fn what_was_removed_or_replaced_is_noticed() {
    let folder = folder();
    let (path, link, aside) = (folder.join("s.db"), folder.join("link.db"), folder.join("aside.db"));
    let log = beside(&path, "-wal");
    fs::write(&path, "database").expect("a file");
    symlink(&path, &link).expect("a link");
    let presence = Presence::new(&path);
    let mut seen = Log::default();
    let mut is_gone = || {
        presence.look(&mut seen);
        assert_eq!(presence.check().is_err(), presence.is_gone());
        presence.is_gone()
    };
    assert!(!is_gone());
    fs::write(&log, "log").expect("a file");
    assert!(!is_gone(), "the log comes with the first write");
    fs::write(&path, "written").expect("a file");
    assert!(!is_gone());
    fs::rename(&path, &aside).expect("moved");
    assert!(is_gone());
    fs::write(&path, "another").expect("a file");
    assert!(is_gone());
    fs::rename(&aside, &path).expect("moved");
    assert!(!is_gone(), "it is back");
    fs::remove_file(&log).expect("removed");
    assert!(is_gone());
    fs::write(&log, "another").expect("a file");
    // A file system may give the number of the one that has gone to the one that comes.
    let _ = is_gone();
    let _ = fs::remove_dir_all(folder);
}
