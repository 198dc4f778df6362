//! Rules about what we tell people.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use cipher_nexus::job::JobFile;
use cipher_nexus::simulation::Faults;

use crate::packages::crates;
use crate::tree::{File, TREE, file};
use crate::{Violation, lines, obeyed};

/// The subcommands of cargo that documentation may use, aliases aside.
const CARGO: &[&str] = &["bench", "build", "clippy", "doc", "fmt", "install", "run", "test"];

/// Where a command may come from, and what its help says.
struct Tools<'a> {
    aliases: Vec<String>,
    packages: Vec<String>,
    /// Whether a path from the root is in the repository.
    exists: &'a dyn Fn(&str) -> bool,
    /// What `nexus SUBCOMMAND .. --help` prints.
    help: &'a dyn Fn(&[&str]) -> String,
}

/// Commands that a reader would type: lines that start with `$ ` in a fenced block.
fn commands(document: &File) -> Vec<(usize, String)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (number, line) in lines(&document.text) {
        inside ^= line.trim_start().starts_with("```");
        if let Some(command) = line.trim_start().strip_prefix("$ ").filter(|_| inside) {
            let end =
                [" #", " |", " >", " &&", " <"].iter().filter_map(|mark| command.find(mark)).min();
            found.push((number, command[..end.unwrap_or(command.len())].trim().to_owned()));
        }
    }
    found
}

fn command_problem(command: &str, tools: &Tools<'_>) -> Option<String> {
    let words: Vec<&str> = command.split_whitespace().filter(|word| !word.contains('=')).collect();
    let (program, rest) = words.split_first()?;
    let missing = rest.iter().find(|word| is_path_here(word) && !(tools.exists)(word));
    if let Some(path) = missing {
        return Some(format!("`{command}`: there is no {path}"));
    }
    let problem = match *program {
        "cargo" => cargo_problem(rest, tools),
        "nexus" => nexus_problem(rest, tools),
        _ => None,
    };
    problem.map(|problem| format!("`{command}`: {problem}"))
}

/// Whether a word names a file that comes with the repository, not one the reader makes.
fn is_path_here(word: &str) -> bool {
    let folders = ["examples/", "bench/", "core/", "protocol/", "ai/", "node/", ".ci/"];
    folders.iter().any(|folder| word.starts_with(folder))
        && !word.contains("/.")
        && !word.contains(['<', '*'])
}

fn cargo_problem(words: &[&str], tools: &Tools<'_>) -> Option<String> {
    let subcommand = words.first()?;
    let known = CARGO.contains(subcommand) || tools.aliases.iter().any(|a| a == subcommand);
    if !known {
        return Some(format!("`cargo {subcommand}` is no command of this repository"));
    }
    let package = words.windows(2).find(|pair| pair[0] == "-p").map(|pair| pair[1]);
    if let Some(package) = package.filter(|name| !tools.packages.iter().any(|known| known == name))
    {
        return Some(format!("there is no package {package}"));
    }
    let at = words.iter().position(|word| *word == "--")?;
    (*subcommand == "run").then(|| nexus_problem(&words[at + 1..], tools)).flatten()
}

fn nexus_problem(words: &[&str], tools: &Tools<'_>) -> Option<String> {
    let mut path = vec!["nexus"];
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        let help = (tools.help)(&path[1..]);
        let subcommands = subcommands(&help);
        if word.starts_with('-') {
            let Some(takes_value) = option(&help, word) else {
                return Some(format!("{} has no `{word}`", path.join(" ")));
            };
            if takes_value {
                words.next();
            }
        } else if subcommands.iter().any(|known| known == word) {
            path.push(word);
        } else if !subcommands.is_empty() {
            return Some(format!("{} has no command `{word}`", path.join(" ")));
        }
    }
    None
}

/// Fenced blocks of TOML, with the line each begins at.
fn toml_blocks(document: &File) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut all = lines(&document.text);
    while let Some((number, line)) = all.next() {
        if line.trim() == "```toml" {
            let block = all.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            found.push((number, block.collect::<Vec<_>>().join("\n")));
        }
    }
    found
}

/// What the program would say to a job, if it has data, or else to a fault file for ten owners.
fn block_problem(text: &str) -> Option<String> {
    if text.contains("[data]") {
        return JobFile::parse(Path::new("job.toml"), text).err().map(|error| error.to_string());
    }
    let faults: Faults = match toml::from_str(text) {
        Ok(faults) => faults,
        Err(error) => return Some(error.message().to_owned()),
    };
    faults.check(10).err().map(|error| error.to_string())
}

/// The commands that a help page lists.
fn subcommands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.trim().is_empty());
    // Two blanks before a name; more before the rest of a description.
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Whether a help page lists `flag`, and if so whether a value follows it.
fn option(help: &str, flag: &str) -> Option<bool> {
    help.lines().map(str::trim_start).filter(|line| line.starts_with('-')).find_map(|line| {
        let names = line.split("  ").next()?;
        let named = names.split([',', ' ', '.', '=', '[']).any(|name| name == flag);
        named.then(|| names.contains(" <"))
    })
}

/// Links to files of the repository that are not there.
fn dead_links(document: &File, exists: &dyn Fn(&str) -> bool) -> Vec<Violation> {
    let folder = document.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let links = lines(&document.text).flat_map(|(number, line)| {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        targets.map(move |target| (number, target))
    });
    links
        .filter(|(_, target)| !target.is_empty() && !target.contains("://"))
        .filter(|(_, target)| !exists(format!("{folder}/{target}").trim_start_matches('/')))
        .map(|(line, target)| {
            Violation::new(&document.path, line, format!("no such file: {target}"))
        })
        .collect()
}

fn changelog_problem(changelog: &File, version: &str) -> Option<Violation> {
    let wanted = ["## [Unreleased]".to_owned(), format!("## [{version}]")];
    let has = changelog.text.lines().any(|line| wanted.iter().any(|w| line.starts_with(w)));
    let problem = format!("needs a section [Unreleased] or [{version}]");
    (!has).then(|| Violation::new(&changelog.path, 1, problem))
}

fn exists(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let folder = format!("{path}/");
    TREE.iter().any(|file| file.path == path || file.path.starts_with(&folder))
}

/// What the program says about itself; each page is asked for once.
fn help(path: &[&str]) -> String {
    static PAGES: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    let mut pages = PAGES.lock().expect("no test panics while it reads help");
    let page = pages.entry(path.join(" ")).or_insert_with(|| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_nexus"));
        let output = program.args(path).arg("--help").output().expect("nexus runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    });
    page.clone()
}

fn aliases() -> Vec<String> {
    let config = file(".cargo/config.toml").map_or("", |file| &file.text);
    let lines = config.lines().skip_while(|line| *line != "[alias]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| Some(line.split_once('=')?.0.trim().to_owned())).collect()
}

#[test]
fn documented_commands_exist() {
    let packages = crates().map(|(_, name, _)| name).collect();
    let tools = Tools { aliases: aliases(), packages, exists: &exists, help: &help };
    let found: Vec<Violation> = TREE
        .iter()
        .filter(|file| file.has_extension(&["md"]))
        .flat_map(|document| commands(document).into_iter().map(move |found| (document, found)))
        .filter_map(|(document, (line, command))| {
            Some(Violation::new(&document.path, line, command_problem(&command, &tools)?))
        })
        .collect();
    obeyed("what the documents tell a reader to type works", &found);
    let readme = file("README.md").map(commands).unwrap_or_default();
    assert!(readme.iter().any(|(_, command)| command == "cargo run --release -- run"));
    assert!(readme.iter().any(|(_, command)| command == "cargo test --release"));
}

#[test]
fn commands_that_do_not_exist_are_found() {
    let help = |path: &[&str]| match path {
        [] => {
            "Commands:\n  run   Trains\n         more words\n  model  Models\n\nOptions:\n  -q, --quiet...  Less\n"
        }
        ["model"] => "Commands:\n  show  Shows\n\n",
        _ => "Options:\n      --seed <N>  Seed\n  -j, --threads <N>  Threads\n      --json  JSON\n",
    };
    let help = |path: &[&str]| help(path).to_owned();
    let exists = |path: &str| path == "examples/a.toml";
    let (aliases, packages) = (vec!["tidy".to_owned()], vec!["bench".to_owned()]);
    let tools = Tools { aliases, packages, exists: &exists, help: &help };
    for fine in [
        "cargo run --release -- run --seed 7 --json examples/a.toml",
        "cargo tidy",
        "cargo bench -p bench",
        "nexus -q model show FILE",
        "NEXUS_SEED=7 nexus run -j 2",
        "python3 x.py",
    ] {
        assert_eq!(command_problem(fine, &tools), None, "{fine}");
    }
    for broken in [
        "cargo run --release -- train",
        "cargo run --release -- run --fast",
        "cargo run --release -- run examples/b.toml",
        "cargo peers",
        "cargo test -p nothing",
        "nexus model list",
        "nexus more",
        "python3 bench/peers/x.py",
    ] {
        assert!(command_problem(broken, &tools).is_some(), "{broken}");
    }
    let text =
        "$ not a command\n```console\n$ nexus run --json > a.json   # why\noutput\n```\n$ no\n";
    assert_eq!(commands(&File::of("a.md", text)), [(3, "nexus run --json".to_owned())]);
}

#[test]
fn documented_files_are_accepted() {
    let found: Vec<Violation> = TREE
        .iter()
        .filter(|file| file.has_extension(&["md"]))
        .flat_map(|document| toml_blocks(document).into_iter().map(move |it| (document, it)))
        .filter_map(|(document, (line, text))| {
            Some(Violation::new(&document.path, line, block_problem(&text)?))
        })
        .collect();
    obeyed("jobs and fault files in the documents can be used", &found);
    assert!(!toml_blocks(file("README.md").expect("README.md is there")).is_empty());

    for broken in ["[data]\nbuiltin = \"digits\"\nowner = 3\n", "[owners]\ndrop = 1.5\n"] {
        let document = File::of("a.md", &format!("text\n```toml\n{broken}```\n"));
        let [(line, text)] = &toml_blocks(&document)[..] else { panic!("one block") };
        assert!(*line == 2 && block_problem(text).is_some(), "{broken}");
    }
}

#[test]
fn links_lead_somewhere() {
    let documents = TREE.iter().filter(|file| file.has_extension(&["md"]));
    let found: Vec<Violation> = documents.flat_map(|file| dead_links(file, &exists)).collect();
    obeyed("links between documents work", &found);

    let text = "[a](https://a.org) [b](#b)\n[c](gone.md#part) [d](here.md)";
    let found = dead_links(&File::of("docs/a.md", text), &|path| path == "docs/here.md");
    assert_eq!(
        found.iter().map(|v| (v.line, v.problem.as_str())).collect::<Vec<_>>(),
        [(2, "no such file: gone.md")]
    );
}

#[test]
fn the_map_names_every_crate() {
    let map = file("ARCHITECTURE.md").map_or("", |file| &file.text);
    let named = |folder: &str, name: &str| {
        map.lines().any(|line| line.contains(folder) && line.contains(&format!("`{name}`")))
    };
    let problem = |folder: &str, name: &str| format!("no line names `{name}` in {folder}");
    let found: Vec<Violation> = crates()
        .filter(|(folder, name, _)| !named(folder, name))
        .map(|(folder, name, _)| Violation::new("ARCHITECTURE.md", 1, problem(&folder, &name)))
        .collect();
    obeyed("ARCHITECTURE.md is the map", &found);
    assert!(!named("core/types", "nexus-nothing"));
}

#[test]
fn changes_are_told() {
    let version = crates().find(|(_, name, _)| name == "cipher-nexus").map(|found| found.2);
    let version = version.unwrap_or_default();
    let changelog = file("CHANGELOG.md").expect("CHANGELOG.md is there");
    let found: Vec<Violation> = changelog_problem(changelog, &version).into_iter().collect();
    obeyed("the change log covers this version", &found);

    let old = File::of("CHANGELOG.md", "# Changelog\n\n## [0.0.1]\n");
    assert!(changelog_problem(&old, "0.1.0").is_some());
}

#[test]
fn the_papers_are_there() {
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "SECURITY.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "NOTICE",
        ".ci/run",
    ] {
        assert!(file(name).is_some_and(|file| !file.text.is_empty()), "{name} is missing");
    }
}
