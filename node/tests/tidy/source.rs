//! Rules about source text.

use crate::tree::{File, TREE, file};
use crate::{Violation, lines, obeyed};

const MAX_LINES: usize = 750;

/// Files that may hold `unsafe`, and why they must.
const UNSAFE: &[(&str, &str)] = &[
    (
        "fuzz/tests/memory.rs",
        "an allocator that counts, and passes every request on to the system's as it is",
    ),
    (
        "ai/models/src/gemm.rs",
        "the kernel of the gemm crate takes raw pointers; its one wrapper checks every stride",
    ),
    (
        "core/crypto/field/src/avx2.rs",
        "loads and stores of four words through references; every caller is detected at run time",
    ),
    (
        "core/crypto/field/src/edwards/ifma.rs",
        "AVX-512 instructions behind run-time detection, held bit-equal to plain Rust by tests",
    ),
    (
        "core/crypto/field/src/gaussian/avx2.rs",
        "AVX2 instructions behind run-time detection, held bit-equal to plain Rust by tests",
    ),
    (
        "core/crypto/field/src/mask/x86.rs",
        "AES instructions behind run-time detection, held bit-equal to the `aes` crate by tests",
    ),
    (
        "core/crypto/field/src/ntt/avx2.rs",
        "AVX2 instructions behind run-time detection, held bit-equal to plain Rust by tests",
    ),
    (
        "core/crypto/field/src/ring/avx2.rs",
        "AVX2 instructions behind run-time detection, held bit-equal to plain Rust by tests",
    ),
    (
        "core/crypto/field/src/rns/avx2.rs",
        "AVX2 and FMA behind run-time detection, held bit-equal to plain Rust by tests",
    ),
    (
        "core/crypto/field/src/rns/avx512.rs",
        "AVX-512 instructions behind run-time detection, held bit-equal to plain Rust by tests",
    ),
    (
        "core/crypto/field/src/rns/avx512/long.rs",
        "AVX-512 instructions behind run-time detection, held bit-equal to plain Rust by tests",
    ),
    (
        "core/crypto/seal/src/bridge.rs",
        "says what the C++ of the optional SEAL takes and gives; no pointer is kept on either side",
    ),
];

/// Doors in the types of `nexus-privacy`, and the folders where one may be opened: what stands there
/// is trusted with values that are not masked yet.
const DOORS: &[(&str, &[&str])] = &[
    (
        "Masker for",
        &[
            "core/privacy/src/flow/",
            "protocol/training/src/secure/",
            "node/src/describe/sum.rs",
            "ai/training/src/private/tests.rs",
            "bench/benches/",
            "bench/examples/flow_cost.rs",
            "bench/src/private.rs",
        ],
    ),
    ("vouched_for(", &["protocol/training/src/egress.rs", "core/types/src/transport.rs"]),
    (
        "Opener for",
        &["core/privacy/src/flow/", "protocol/training/src/secure/", "node/src/describe/sum.rs"],
    ),
    ("Sealer for", &["core/privacy/src/flow/", "protocol/training/src/secure/"]),
    (
        "of_job_without_privacy(",
        &[
            "core/privacy/src/flow/",
            "protocol/training/src/secure/",
            "ai/training/src/private/tests.rs",
            "bench/benches/",
            "bench/examples/flow_cost.rs",
            "bench/src/private.rs",
        ],
    ),
];

/// Text that no source has, and what to do instead. Written in halves, for this file is source.
const BANNED: &[(&str, &str)] = &[
    (concat!("to", "do!("), "write it, or leave it out"),
    (concat!("unimple", "mented!("), "write it, or leave it out"),
    (concat!("TO", "DO"), "do it, or open an issue"),
    (concat!("FIX", "ME"), "fix it, or open an issue"),
    (concat!("XX", "X"), "fix it, or open an issue"),
    (concat!("#[all", "ow("), "`#[expect(lint, reason = ..)]` says why, and when it is stale"),
    (concat!("#![all", "ow("), "`#[expect(lint, reason = ..)]` at the narrowest place"),
];

const KEYWORD: &str = concat!("uns", "afe");

/// Folders that exist on one machine only.
const MACHINE_FOLDERS: &[&str] = &["work", "root", "home", "tmp", "Users", "mnt"];

fn too_long(file: &File) -> Option<Violation> {
    if !file.has_extension(&["rs"]) || file.path.split('/').any(|part| part == "tests") {
        return None;
    }
    let tests = file.text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(file.text.len());
    let count = file.text[..tests].lines().count();
    let problem = format!("{count} lines without its tests; at most {MAX_LINES}, so split it");
    (count > MAX_LINES).then(|| Violation::new(&file.path, MAX_LINES + 1, problem))
}

fn banned(file: &File) -> Vec<Violation> {
    if !file.has_extension(&["rs", "py", "sh"]) {
        return Vec::new();
    }
    let places = lines(&file.text).flat_map(|(number, line)| {
        BANNED.iter().filter(move |(text, _)| line.contains(text)).map(move |found| (number, found))
    });
    places
        .map(|(line, (text, instead))| {
            Violation::new(&file.path, line, format!("`{text}`: {instead}"))
        })
        .collect()
}

fn open_doors(file: &File) -> Vec<Violation> {
    let is_case = file.path.starts_with("core/privacy/tests/flow/");
    if !file.has_extension(&["rs"]) || is_case || file.path.starts_with("node/tests/tidy/") {
        return Vec::new();
    }
    let found =
        DOORS.iter().filter(|(_, allowed)| !allowed.iter().any(|at| file.path.starts_with(at)));
    let places = found.flat_map(|(door, _)| {
        lines(&file.text).filter(move |(_, line)| line.contains(door)).map(move |at| (at.0, door))
    });
    let problem = |door: &str| format!("`{door}` outside the folders in tests/tidy/source.rs");
    places.map(|(line, door)| Violation::new(&file.path, line, problem(door))).collect()
}

/// Whether the keyword is in `code`, and not just a name or a text with the word in it.
fn has_keyword(code: &str) -> bool {
    code.match_indices(KEYWORD).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + KEYWORD.len()..]);
        let begins =
            !before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '\'' | '"'));
        begins && (after.is_empty() || after.starts_with([' ', '{', '(']))
    })
}

#[test]
fn doors_of_the_flow_types_are_where_they_are_expected() {
    let found: Vec<Violation> = TREE.iter().flat_map(open_doors).collect();
    obeyed("what is trusted with unmasked values is in few places", &found);

    for (door, allowed) in DOORS {
        let text = format!("impl {door} X {{\n");
        assert_eq!(open_doors(&File::of("node/src/a.rs", &text)).len(), 1, "{door}");
        assert!(open_doors(&File::of(&format!("{}a.rs", allowed[0]), &text)).is_empty());
    }
}

/// Lines of code, comments aside, that hold the keyword.
fn unsafe_lines(file: &File) -> impl Iterator<Item = usize> {
    let code = lines(&file.text).map(|(number, line)| (number, line.split("//").next()));
    code.filter(move |(_, code)| code.is_some_and(has_keyword)).map(|(number, _)| number)
}

fn misplaced_unsafe(file: &File, allowed: &[(&str, &str)]) -> Vec<Violation> {
    if !file.has_extension(&["rs"]) || allowed.iter().any(|(path, _)| *path == file.path) {
        return Vec::new();
    }
    let problem = format!("`{KEYWORD}` outside the list in tests/tidy/source.rs");
    unsafe_lines(file).map(|line| Violation::new(&file.path, line, problem.as_str())).collect()
}

fn stale_permission(path: &str, file: Option<&File>) -> Option<Violation> {
    let used = file.is_some_and(|file| unsafe_lines(file).next().is_some());
    (!used).then(|| Violation::new(path, 1, "is on the list in tests/tidy/source.rs for nothing"))
}

/// Paths such as those that name one developer's machine.
fn machine_paths(file: &File) -> Vec<Violation> {
    let within_a_path =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '}' | ')' | '>');
    let named = |line: &str| {
        line.match_indices('/').find_map(|(at, _)| {
            let folder = MACHINE_FOLDERS.iter().find(|name| line[at + 1..].starts_with(**name))?;
            let rest = &line[at + 1 + folder.len()..];
            let whole = !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-'));
            (whole && !line[..at].ends_with(within_a_path)).then(|| format!("/{folder}"))
        })
    };
    lines(&file.text)
        .filter_map(|(number, line)| {
            let problem = format!("`{}` is a place on one machine", named(line)?);
            Some(Violation::new(&file.path, number, problem))
        })
        .collect()
}

#[test]
fn files_are_short() {
    let found: Vec<Violation> = TREE.iter().filter_map(too_long).collect();
    obeyed("a file has one purpose and fits in a head", &found);

    let long = "x\n".repeat(MAX_LINES + 1);
    assert!(too_long(&File::of("a/src/b.rs", &long)).is_some());
    assert!(too_long(&File::of("a/tests/b.rs", &long)).is_none());
    let tested = format!("fn a() {{}}\n\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
    assert!(too_long(&File::of("a/src/b.rs", &tested)).is_none());
}

#[test]
fn nothing_is_left_undone_or_waved_through() {
    let found: Vec<Violation> = TREE.iter().flat_map(banned).collect();
    obeyed("source is finished", &found);

    for (text, _) in BANNED {
        let broken = File::of("a.rs", &format!("fn f() {{}}\n    {text}x)]\n"));
        assert_eq!(banned(&broken)[0].line, 2, "{text}");
    }
}

#[test]
fn unsafe_code_is_where_it_is_expected() {
    let misplaced = TREE.iter().flat_map(|file| misplaced_unsafe(file, UNSAFE));
    let stale = UNSAFE.iter().filter_map(|(path, _)| stale_permission(path, file(path)));
    let found: Vec<Violation> = misplaced.chain(stale).collect();
    obeyed("what the compiler cannot check lives in few files, each with a reason", &found);

    let broken = File::of(
        "a.rs",
        &format!("// {KEYWORD}\n{KEYWORD}_code '{KEYWORD} x'\nlet a = {KEYWORD} {{}};"),
    );
    assert_eq!(misplaced_unsafe(&broken, UNSAFE).iter().map(|v| v.line).collect::<Vec<_>>(), [3]);
    assert!(misplaced_unsafe(&broken, &[("a.rs", "")]).is_empty());
    assert!(stale_permission("a.rs", Some(&broken)).is_none());
    assert!(stale_permission("a.rs", Some(&File::of("a.rs", "fn f() {}"))).is_some());
    assert!(stale_permission("a.rs", None).is_some());
}

#[test]
fn no_path_names_one_machine() {
    let found: Vec<Violation> = TREE.iter().flat_map(machine_paths).collect();
    obeyed("the tree works on every machine", &found);

    for folder in MACHINE_FOLDERS {
        for broken in [format!("a\nopen(\"/{folder}/x\")"), format!("a\ncd /{folder}\n")] {
            assert_eq!(machine_paths(&File::of("a.py", &broken))[0].line, 2, "{broken}");
        }
        for fine in
            [format!("https://a.org/{folder}/x"), format!("/{folder}s"), format!("a/{folder}")]
        {
            assert!(machine_paths(&File::of("a.md", &fine)).is_empty(), "{fine}");
        }
    }
}
