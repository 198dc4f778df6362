//! The files of the repository, and the rules about files as such.

use std::path::Path;
use std::sync::LazyLock;
use std::{fs, io};

use crate::{Violation, obeyed, root};

const MAX_FILE_BYTES: u64 = 1 << 20;

/// A file of the repository.
#[derive(Debug)]
pub(crate) struct File {
    /// Its path from the root, with `/`.
    pub(crate) path: String,
    bytes: u64,
    /// Its text, empty for a binary file.
    pub(crate) text: String,
}

impl File {
    /// A file that is nowhere, for the tests of rules.
    pub(crate) fn of(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), bytes: text.len() as u64, text: text.to_owned() }
    }

    /// Whether its name ends in one of `extensions`.
    pub(crate) fn has_extension(&self, extensions: &[&str]) -> bool {
        let own = Path::new(&self.path).extension();
        own.is_some_and(|own| extensions.iter().any(|extension| own == *extension))
    }
}

/// Every file that git does not ignore.
pub(crate) static TREE: LazyLock<Vec<File>> = LazyLock::new(|| {
    let ignore = Ignore::parse(&fs::read_to_string(root().join(".gitignore")).unwrap_or_default());
    let mut files = Vec::new();
    walk(&ignore, "", &mut files).expect("the repository is readable");
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
});

/// The file at `path`.
pub(crate) fn file(path: &str) -> Option<&'static File> {
    TREE.iter().find(|file| file.path == path)
}

fn walk(ignore: &Ignore, folder: &str, files: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(root().join(folder))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let is_folder = entry.file_type()?.is_dir();
        if name == ".git" || ignore.covers(&path, is_folder) {
            continue;
        }
        if is_folder {
            walk(ignore, &path, files)?;
        } else {
            let content = fs::read(entry.path())?;
            let bytes = content.len() as u64;
            let text = String::from_utf8(content).unwrap_or_default();
            files.push(File { path, bytes, text });
        }
    }
    Ok(())
}

/// A `.gitignore` of plain names and names with one `*`, anchored by a leading `/` or not.
struct Ignore {
    patterns: Vec<String>,
}

impl Ignore {
    fn parse(text: &str) -> Self {
        let patterns = text.lines().map(str::trim);
        let patterns = patterns.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self { patterns: patterns.map(str::to_owned).collect() }
    }

    fn covers(&self, path: &str, is_folder: bool) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.patterns.iter().any(|pattern| {
            let (pattern, folders_only) =
                pattern.strip_suffix('/').map_or((pattern.as_str(), false), |short| (short, true));
            let (pattern, subject) =
                pattern.strip_prefix('/').map_or((pattern, name), |anchored| (anchored, path));
            (is_folder || !folders_only) && glob(pattern, subject)
        })
    }
}

fn glob(pattern: &str, subject: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == subject };
    let rest = subject.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
    rest.is_some_and(|rest| !rest.contains('/'))
}

fn too_large(file: &File) -> Option<Violation> {
    let problem = format!("{} bytes; a file has at most {MAX_FILE_BYTES}", file.bytes);
    (file.bytes > MAX_FILE_BYTES).then(|| Violation::new(&file.path, 1, problem))
}

fn lock_problem(lock: Option<&File>) -> Option<Violation> {
    let complete = lock.is_some_and(|lock| lock.text.contains("name = \"cipher-nexus\""));
    (!complete).then(|| Violation::new("Cargo.lock", 1, "missing, ignored, or of another program"))
}

#[test]
fn no_file_is_large() {
    let found: Vec<Violation> = TREE.iter().filter_map(too_large).collect();
    obeyed("large files belong in no repository", &found);

    let large = File { bytes: MAX_FILE_BYTES + 1, ..File::of("a.bin", "") };
    assert!(too_large(&large).is_some());
}

#[test]
fn the_lock_file_is_committed() {
    let found: Vec<Violation> = lock_problem(file("Cargo.lock")).into_iter().collect();
    obeyed("builds are pinned by Cargo.lock", &found);

    assert!(lock_problem(None).is_some());
    assert!(lock_problem(Some(&File::of("Cargo.lock", "version = 4"))).is_some());
}

#[test]
fn ignored_files_are_not_part_of_the_tree() {
    let ignore = Ignore::parse("# built\n/target\n/peers/.venv*\n__pycache__/\n*.tmp\n");
    for (path, is_folder) in
        [("target", true), ("peers/.venv-a", true), ("a/__pycache__", true), ("a/b.tmp", false)]
    {
        assert!(ignore.covers(path, is_folder), "{path}");
    }
    for path in ["a/target", "peers/.ven", "__pycache__", "tmp", "a.tmp.rs"] {
        assert!(!ignore.covers(path, false), "{path}");
    }
    assert!(file("Cargo.toml").is_some() && !TREE.iter().any(|f| f.path.starts_with("target/")));
}
