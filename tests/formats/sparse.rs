//! Files as text: each with its length, then the bytes that are no zeros, 48 a line, in base64.

use std::fmt::Write as _;
use std::path::Path;

use data_encoding::BASE64;

/// Bytes of a line.
const LINE: usize = 48;

/// Files by their names, in order.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

/// Writes `files` as text, with `about` above them.
pub(crate) fn encode(about: &str, files: &Files) -> String {
    let mut text = format!("# {about}\n");
    for (name, bytes) in files {
        writeln!(text, "file {name} {}", bytes.len()).unwrap();
        for (number, line) in bytes.chunks(LINE).enumerate() {
            if line.iter().any(|byte| *byte != 0) {
                writeln!(text, "{} {}", number * LINE, BASE64.encode(line)).unwrap();
            }
        }
    }
    text
}

/// Reads what [`encode`] has written.
pub(crate) fn decode(text: &str) -> Files {
    let mut files = Files::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["file", name, length] => {
                files.push((name.to_owned(), vec![0; length.parse().unwrap()]));
            }
            [at, bytes] => {
                let at: usize = at.parse().unwrap();
                let bytes = BASE64.decode(bytes.as_bytes()).unwrap();
                let (_, file) = files.last_mut().unwrap();
                file[at..at + bytes.len()].copy_from_slice(&bytes);
            }
            _ => panic!("no line of such a file: {line}"),
        }
    }
    files
}

/// Puts `files` below `dir`.
pub(crate) fn put(files: &Files, dir: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    for (name, bytes) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// All files below `dir`, in order of their names.
pub(crate) fn take(dir: &Path) -> Files {
    let mut files = Files::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            files.push((name, std::fs::read(&path).unwrap()));
        }
    }
    files.sort();
    files
}

#[test]
fn files_come_back_as_they_were() {
    let mut long = vec![0; 500];
    long[100] = 1;
    long[499] = 2;
    let files = vec![
        ("a".to_owned(), Vec::new()),
        ("b/c".to_owned(), long),
        ("b/zeros".to_owned(), vec![0; 4096]),
    ];
    assert_eq!(decode(&encode("about them", &files)), files);
}
