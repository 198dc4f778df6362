//! Rules about crates: who depends on whom, under which licence.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::tree::{File, file};
use crate::{Violation, lines, obeyed, root};

/// The map of ARCHITECTURE.md: a crate's folder, its name, and which crates of its own stratum it
/// may use. It may also use every crate of the strata below.
const MAP: &[(&str, &str, &[&str])] = &[
    ("core/types", "nexus-types", &[]),
    ("core/crypto/field", "nexus-field", &["nexus-types"]),
    ("core/crypto/he", "nexus-he", &["nexus-types", "nexus-field"]),
    ("core/crypto/seal", "nexus-seal", &["nexus-types", "nexus-field", "nexus-he"]),
    ("core/crypto/mpc", "nexus-mpc", &["nexus-types", "nexus-field"]),
    ("core/crypto/proof", "nexus-proof", &["nexus-types", "nexus-field"]),
    (
        "core/privacy",
        "nexus-privacy",
        &["nexus-types", "nexus-field", "nexus-he", "nexus-seal", "nexus-mpc", "nexus-proof"],
    ),
    ("core/tee", "nexus-tee", &["nexus-types"]),
    ("core/network", "nexus-network", &["nexus-types"]),
    ("core/consensus", "nexus-consensus", &["nexus-types"]),
    ("core/ledger", "nexus-ledger", &["nexus-types", "nexus-consensus"]),
    ("protocol/training", "nexus-training", &[]),
    ("protocol/verification", "nexus-verification", &[]),
    ("protocol/marketplace", "nexus-marketplace", &[]),
    ("ai/models", "nexus-models", &[]),
    ("ai/training", "nexus-learning", &["nexus-models"]),
    ("ai/inference", "nexus-inference", &["nexus-models"]),
    ("ai/audit", "nexus-audit", &["nexus-models", "nexus-learning", "nexus-inference"]),
    ("node", "cipher-nexus", &[]),
    ("sdk/python", "nexus-python", &[]),
    ("bench", "bench", &[]),
    ("fuzz", "fuzz", &[]),
];

/// From the ground up; a crate's stratum is the first part of its folder.
const STRATA: &[&str] = &["core", "protocol", "ai", "node", "sdk", "bench", "fuzz"];

/// Where an asynchronous runtime may be: everything else takes its world as arguments.
const MAY_USE_TOKIO: &[&str] =
    &["nexus-network", "nexus-consensus", "nexus-ledger", "cipher-nexus"];

const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MPL-2.0",
    "Zlib",
    "Unicode-3.0",
    "CC0-1.0",
    "Unlicense",
    "0BSD",
    "BSL-1.0",
    "Apache-2.0 WITH LLVM-exception",
];

/// Licences that only a feature which is off by default brings in: the crates, and the feature.
///
/// BSD-3-Clause-Clear grants no patent rights, and the authors of `tfhe` ask for a patent licence for
/// commercial use. So nothing that is built unless asked for may have it, and whoever asks is told.
const OPTIONAL_LICENCES: &[(&str, &str, &str)] = &[("tfhe", "BSD-3-Clause-Clear", "tfhe")];

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    #[serde(default)]
    features: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    kind: Option<String>,
}

impl Metadata {
    fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }
}

impl Package {
    /// Its manifest, from the root of the repository.
    fn manifest(&self) -> String {
        let path = self.manifest_path.strip_prefix(root()).unwrap_or(&self.manifest_path);
        path.to_string_lossy().replace('\\', "/")
    }
}

/// What cargo knows about the workspace and everything it builds.
fn metadata() -> &'static Metadata {
    static METADATA: LazyLock<Result<Metadata, String>> = LazyLock::new(|| {
        let version = cargo(&["-vV"])?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let every = ["metadata", "--format-version", "1", "--locked", "--offline"];
        let here = [&every[..], &["--filter-platform", host.unwrap_or_default()]].concat();
        // A build fetches the crates of its own platform; those of others are checked if present.
        let json = cargo(&every).or_else(|_| cargo(&here))?;
        serde_json::from_str(&json).map_err(|error| error.to_string())
    });
    METADATA.as_ref().expect("cargo metadata describes the workspace")
}

/// The same with every optional crate, unless some were never fetched: builds fetch what they build.
fn metadata_of_all_features() -> Option<Metadata> {
    let all = ["metadata", "--format-version", "1", "--locked", "--offline", "--all-features"];
    serde_json::from_str(&cargo(&all).ok()?).ok()
}

fn cargo(arguments: &[&str]) -> Result<String, String> {
    let mut program = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let output = program.args(arguments).current_dir(root()).output();
    let output = output.map_err(|error| error.to_string())?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn entry(name: &str) -> Option<&'static (&'static str, &'static str, &'static [&'static str])> {
    MAP.iter().find(|(_, known, _)| *known == name)
}

fn height(folder: &str) -> Option<usize> {
    let stratum = folder.split('/').next()?;
    STRATA.iter().position(|known| *known == stratum)
}

/// What is wrong with `from` depending on `to`, both crates of the workspace.
fn edge_problem(from: &str, to: &str) -> Option<String> {
    let (Some((from_folder, _, siblings)), Some((to_folder, ..))) = (entry(from), entry(to)) else {
        return Some(format!("{from} -> {to}: not on the map in tests/tidy/packages.rs"));
    };
    let down = height(to_folder) < height(from_folder);
    let problem = || format!("{from_folder} must not depend on {to_folder}");
    (!down && !siblings.contains(&to)).then(problem)
}

fn place_problem(package: &Package) -> Option<Violation> {
    let (manifest, name) = (package.manifest(), &package.name);
    let placed = entry(name).is_some_and(|(folder, ..)| manifest == format!("{folder}/Cargo.toml"));
    (!placed).then(|| Violation::new(&manifest, 1, format!("{name} has no such place on the map")))
}

/// The way from a workspace crate to an asynchronous runtime through outside crates, if any.
fn way_to_tokio(metadata: &Metadata, from: &Package) -> Option<String> {
    let nodes: BTreeMap<&str, &Node> =
        metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let names: BTreeMap<&str, &str> =
        metadata.packages.iter().map(|p| (p.id.as_str(), p.name.as_str())).collect();
    let mut seen = BTreeSet::new();
    let mut open = vec![(from.id.as_str(), from.name.clone())];
    while let Some((id, way)) = open.pop() {
        for edge in nodes.get(id).map_or(&[][..], |node| &node.deps) {
            let used = edge.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev"));
            let outside = !metadata.workspace_members.contains(&edge.pkg);
            if !used || !outside || !seen.insert(edge.pkg.as_str()) {
                continue;
            }
            let name = names.get(edge.pkg.as_str()).copied().unwrap_or_default();
            let way = format!("{way} -> {name}");
            if name == "tokio" {
                return Some(way);
            }
            open.push((&edge.pkg, way));
        }
    }
    None
}

/// Whether an SPDX expression leaves a choice that is on the list. `/` is an old way to write `OR`.
fn is_allowed(expression: &str) -> Option<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let allowed = any_of(&mut words)?;
    words.next().is_none().then_some(allowed)
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>) -> Option<bool> {
    let mut allowed = all_of(words)?;
    while words.next_if_eq(&"OR").is_some() {
        allowed |= all_of(words)?;
    }
    Some(allowed)
}

fn all_of(words: &mut Words<'_>) -> Option<bool> {
    let mut allowed = one(words)?;
    while words.next_if_eq(&"AND").is_some() {
        allowed &= one(words)?;
    }
    Some(allowed)
}

fn one(words: &mut Words<'_>) -> Option<bool> {
    match words.next()? {
        "(" => {
            let allowed = any_of(words)?;
            words.next_if_eq(&")").map(|_| allowed)
        }
        ")" | "OR" | "AND" | "WITH" => None,
        name if words.next_if_eq(&"WITH").is_some() => {
            let exception = words.next()?;
            Some(LICENCES.contains(&format!("{name} WITH {exception}").as_str()))
        }
        name => Some(LICENCES.contains(&name)),
    }
}

fn licence_problem(name: &str, licence: Option<&str>) -> Option<Violation> {
    let allowed = licence.and_then(is_allowed) == Some(true);
    let licence = licence.unwrap_or("no licence");
    (!allowed).then(|| Violation::new("Cargo.lock", 1, format!("{name}: {licence} is not allowed")))
}

/// Whether a crate is one of those that a feature brings in under a licence of its own.
fn is_optional(name: &str, licence: Option<&str>) -> bool {
    OPTIONAL_LICENCES.iter().any(|(family, of_family, _)| {
        let rest = name.strip_prefix(family);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            && licence == Some(*of_family)
    })
}

/// Whether a package turns a feature on unless told.
fn is_default(package: &Package, feature: &str) -> bool {
    let default = package.features.get("default");
    default.is_some_and(|names| names.iter().any(|name| name == feature))
}

/// What a manifest must say: the workspace's lints, versions, and licence.
fn manifest_problems(manifest: &File) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut section = "";
    let mut inherits_lints = false;
    for (number, line) in lines(&manifest.text) {
        let line = line.trim();
        if line.starts_with('[') {
            section = line;
        }
        inherits_lints |= section == "[lints]" && line == "workspace = true";
        let declares = section.ends_with("dependencies]") && line.contains('=');
        if declares && !line.contains("workspace = true") {
            let problem = format!("`{line}`: versions are in the root's workspace.dependencies");
            found.push(Violation::new(&manifest.path, number, problem));
        }
    }
    if !inherits_lints {
        found.push(Violation::new(&manifest.path, 1, "needs [lints] with workspace = true"));
    }
    if !manifest.text.contains("\nlicense.workspace = true\n") {
        found.push(Violation::new(&manifest.path, 1, "needs license.workspace = true"));
    }
    found
}

/// What is missing from the page a reader of a crate sees first.
fn front_page_problems(library: &File) -> Vec<Violation> {
    let page: Vec<&str> = library.text.lines().take_while(|line| line.starts_with("//!")).collect();
    let has = |wanted: &str| page.iter().any(|line| line.starts_with(wanted));
    [("//! # Threat model", "a `# Threat model` section"), ("//! ```", "an example")]
        .into_iter()
        .filter(|(wanted, _)| !has(wanted))
        .map(|(_, name)| Violation::new(&library.path, 1, format!("the crate's page needs {name}")))
        .collect()
}

/// The version of the program, and the names of its crates with their folders.
pub(crate) fn crates() -> impl Iterator<Item = (String, String, String)> {
    metadata().members().map(|package| {
        let manifest = package.manifest();
        let folder = manifest.trim_end_matches("/Cargo.toml").to_owned();
        (folder, package.name.clone(), package.version.clone())
    })
}

#[test]
fn dependencies_go_down() {
    let members: BTreeSet<&str> = metadata().members().map(|p| p.name.as_str()).collect();
    let edges = metadata().members().flat_map(|from| {
        let inside = from.dependencies.iter().filter(|to| members.contains(to.name.as_str()));
        inside.filter_map(|to| {
            Some(Violation::new(&from.manifest(), 1, edge_problem(&from.name, &to.name)?))
        })
    });
    let found: Vec<Violation> =
        metadata().members().filter_map(place_problem).chain(edges).collect();
    obeyed("crates depend as ARCHITECTURE.md draws them", &found);

    for (from, to) in [
        ("nexus-types", "nexus-field"),
        ("nexus-training", "nexus-models"),
        ("nexus-models", "nexus-learning"),
        ("nexus-training", "nexus-verification"),
        ("cipher-nexus", "bench"),
        ("nexus-tee", "nexus-field"),
        ("nexus-unknown", "nexus-types"),
    ] {
        assert!(edge_problem(from, to).is_some(), "{from} -> {to}");
    }
    for (from, to) in [
        ("nexus-learning", "nexus-models"),
        ("nexus-ledger", "nexus-consensus"),
        ("bench", "cipher-nexus"),
    ] {
        assert_eq!(edge_problem(from, to), None);
    }
    let stray = r#"{"id": "a", "name": "nexus-types", "version": "1.0.0", "license": null,
        "manifest_path": "types/Cargo.toml", "dependencies": []}"#;
    assert!(place_problem(&serde_json::from_str(stray).unwrap()).is_some());
}

#[test]
fn only_the_edge_of_the_world_is_asynchronous() {
    let pure = metadata().members().filter(|p| !MAY_USE_TOKIO.contains(&p.name.as_str()));
    let found: Vec<Violation> = pure
        .filter_map(|p| Some(Violation::new(&p.manifest(), 1, way_to_tokio(metadata(), p)?)))
        .collect();
    obeyed("tokio is for the node and the network, consensus and ledger crates", &found);

    let package = |id: &str, name: &str| {
        format!(
            r#"{{"id": "{id}", "name": "{name}", "version": "1.0.0", "license": null,
            "manifest_path": "{name}/Cargo.toml", "dependencies": []}}"#
        )
    };
    let edge =
        |to: &str, kind: &str| format!(r#"{{"pkg": "{to}", "dep_kinds": [{{"kind": {kind}}}]}}"#);
    let graph = |kind: &str| -> Metadata {
        let packages = [package("a", "pure"), package("b", "web"), package("c", "tokio")].join(",");
        let (a, b) = (edge("b", "null"), edge("c", kind));
        serde_json::from_str(&format!(
            r#"{{"packages": [{packages}], "workspace_members": ["a"], "resolve": {{"nodes": [
            {{"id": "a", "deps": [{a}]}}, {{"id": "b", "deps": [{b}]}}, {{"id": "c", "deps": []}}]}}}}"#
        ))
        .unwrap()
    };
    let reached = graph("null");
    let way = way_to_tokio(&reached, &reached.packages[0]);
    assert_eq!(way.as_deref(), Some("pure -> web -> tokio"));
    let tested_with = graph("\"dev\"");
    assert_eq!(way_to_tokio(&tested_with, &tested_with.packages[0]), None);
}

#[test]
fn licences_are_permissive() {
    let packages = metadata().packages.iter();
    let found: Vec<Violation> =
        packages.filter_map(|p| licence_problem(&p.name, p.license.as_deref())).collect();
    obeyed("what is built in may be passed on under MIT or Apache-2.0", &found);

    for fine in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0-only OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
    ] {
        assert_eq!(is_allowed(fine), Some(true), "{fine}");
    }
    for bad in [
        "GPL-3.0-only",
        "MIT AND AGPL-3.0",
        "(MIT OR ISC) AND SSPL-1.0",
        "MIT WITH Bison-exception-2.2",
    ] {
        assert_eq!(is_allowed(bad), Some(false), "{bad}");
    }
    for malformed in ["", "MIT OR", "(MIT", "MIT Apache-2.0", "OR MIT"] {
        assert_eq!(is_allowed(malformed), None, "{malformed}");
    }
    assert!(licence_problem("a", None).is_some());
}

#[test]
fn other_licences_are_asked_for() {
    let all = metadata_of_all_features();
    let packages = all.iter().flat_map(|all| &all.packages);
    let found: Vec<Violation> = packages
        .filter(|p| !is_optional(&p.name, p.license.as_deref()))
        .filter_map(|p| licence_problem(&p.name, p.license.as_deref()))
        .collect();
    obeyed("what a feature brings in is permissive, or on the list with the feature", &found);

    let default = |feature| metadata().members().find(|member| is_default(member, feature));
    let found: Vec<Violation> = OPTIONAL_LICENCES
        .iter()
        .filter_map(|(_, licence, feature)| {
            let problem = format!("{licence} comes with `{feature}`, which must be off");
            Some(Violation::new(&default(feature)?.manifest(), 1, problem))
        })
        .collect();
    obeyed("nobody gets another licence without asking", &found);
    for (family, _, feature) in OPTIONAL_LICENCES {
        assert!(metadata().packages.iter().all(|package| package.name != *family));
        let of_program = metadata().members().find(|member| member.name == "cipher-nexus");
        assert!(of_program.is_some_and(|program| program.features.contains_key(*feature)));
    }

    let clear = Some("BSD-3-Clause-Clear");
    assert!(is_optional("tfhe", clear) && is_optional("tfhe-csprng", clear));
    for (name, licence) in
        [("tfhex", clear), ("other", clear), ("tfhe", Some("GPL-3.0-only")), ("tfhe", None)]
    {
        assert!(!is_optional(name, licence), "{name} {licence:?}");
    }
    assert!(licence_problem("tfhe", clear).is_some());
    let stray = r#"{"id": "a", "name": "a", "version": "1.0.0", "license": null, "manifest_path": "a",
        "dependencies": [], "features": {"default": ["tfhe"], "tfhe": []}}"#;
    assert!(is_default(&serde_json::from_str(stray).unwrap(), "tfhe"));
}

#[test]
fn manifests_inherit_from_the_workspace() {
    let found: Vec<Violation> = metadata()
        .members()
        .flat_map(|package| file(&package.manifest()).map_or_else(Vec::new, manifest_problems))
        .collect();
    obeyed("lints, versions and licence are said once", &found);

    let fine = "[package]\nlicense.workspace = true\n[dependencies]\na.workspace = true\n\
                b = { workspace = true, features = [] }\n[lints]\nworkspace = true\n";
    assert_eq!(manifest_problems(&File::of("Cargo.toml", fine)), []);
    for (part, broken) in [
        ("a.workspace = true", "a = \"1\""),
        ("[lints]\nworkspace = true", "[lints.rust]\n"),
        ("license.workspace = true", "license = \"GPL-3.0\""),
    ] {
        let manifest = File::of("Cargo.toml", &fine.replace(part, broken));
        assert_eq!(manifest_problems(&manifest).len(), 1, "{broken}");
    }
}

#[test]
fn every_crate_has_a_front_page() {
    let libraries = metadata().members().filter(|package| package.name != "bench");
    let found: Vec<Violation> = libraries
        .filter_map(|p| file(&p.manifest().replace("Cargo.toml", "src/lib.rs")))
        .flat_map(front_page_problems)
        .collect();
    obeyed("lib.rs is the page one reads first", &found);

    let fine = "//! Words.\n//!\n//! ```\n//! ```\n//! # Threat model\n\nmod a;\n";
    assert_eq!(front_page_problems(&File::of("lib.rs", fine)), []);
    assert_eq!(front_page_problems(&File::of("lib.rs", "//! Words.\n\n//! ```\n")).len(), 2);
}
