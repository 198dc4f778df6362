//! Finds SEAL and compiles the shim, if the feature `seal` asks for it.

#[cfg(not(feature = "seal"))]
fn main() {}

#[cfg(feature = "seal")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    seal::link()
}

#[cfg(feature = "seal")]
mod seal {
    use std::io::{Write, stdout};
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::{env, fs};

    type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

    const MISSING: &str = "there is no SEAL here: name its folder in SEAL_ROOT, or let CMake or pkg-config \
                           find it; scripts/install-seal.sh builds one for tests";

    /// The first version that is fit for production.
    const HARDENED: (u32, u32) = (4, 4);

    /// A SEAL: where its headers are, and what is linked.
    struct Found {
        include: PathBuf,
        library: PathBuf,
    }

    pub(crate) fn link() -> Result<()> {
        for changed in ["src/bridge.rs", "cpp/shim.h", "cpp/shim.cpp"] {
            say(&format!("rerun-if-changed={changed}"))?;
        }
        say("rerun-if-env-changed=SEAL_ROOT")?;
        let found = match env::var_os("SEAL_ROOT") {
            Some(root) => of_root(Path::new(&root))?,
            None => of_cmake().or_else(of_pkg_config),
        };
        let found = found.ok_or(MISSING)?;
        warn_of_old(&found.include)?;
        cxx_build::bridge("src/bridge.rs")
            .file("cpp/shim.cpp")
            .std("c++17")
            .flag("-isystem")
            .flag(&found.include)
            .try_compile("nexus-seal-shim")?;
        link_with(&found.library)
    }

    fn say(text: &str) -> Result<()> {
        Ok(writeln!(stdout(), "cargo::{text}")?)
    }

    /// SEAL, then what it needs of the system.
    fn link_with(library: &Path) -> Result<()> {
        let (folder, stem) = (library.parent(), library.file_stem().and_then(|it| it.to_str()));
        let (Some(folder), Some(stem)) = (folder, stem) else { return Err(MISSING.into()) };
        let is_archive = library.extension().is_some_and(|it| it == "a");
        let kind = if is_archive { "static" } else { "dylib" };
        let name = stem.strip_prefix("lib").unwrap_or(stem);
        say(&format!("rustc-link-search=native={}", folder.display()))?;
        say(&format!("rustc-link-lib={kind}={name}"))?;
        let others = if is_archive { &["z", "zstd", "pthread"][..] } else { &[] };
        others.iter().try_for_each(|name| say(&format!("rustc-link-lib=dylib={name}")))
    }

    /// `include/SEAL-4.x` and `lib/libseal-4.x` below a folder; the newest of several.
    fn of_root(root: &Path) -> Result<Option<Found>> {
        let mut versions: Vec<(u32, u32)> = fs::read_dir(root.join("include"))?
            .filter_map(|entry| version_of(entry.ok()?.file_name().to_str()?))
            .collect();
        versions.sort_unstable();
        let (major, minor) = *versions.last().ok_or(MISSING)?;
        let include = root.join(format!("include/SEAL-{major}.{minor}"));
        let names = ["a", "so"].map(|kind| format!("libseal-{major}.{minor}.{kind}"));
        let places = ["lib", "lib64"]
            .iter()
            .flat_map(|folder| names.iter().map(move |name| root.join(folder).join(name)));
        let library = places.into_iter().find(|path| path.exists());
        Ok(library.map(|library| Found { include, library }))
    }

    fn version_of(name: &str) -> Option<(u32, u32)> {
        let (major, minor) = name.strip_prefix("SEAL-")?.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    }

    /// What `find_package(SEAL)` says.
    fn of_cmake() -> Option<Found> {
        const PROJECT: &str = "cmake_minimum_required(VERSION 3.13)\n\
            project(find CXX)\n\
            find_package(SEAL 4 REQUIRED)\n\
            set(target SEAL::seal)\n\
            if(NOT TARGET SEAL::seal)\n  set(target SEAL::seal_shared)\nendif()\n\
            file(GENERATE OUTPUT found.txt CONTENT\n  \
            \"$<TARGET_PROPERTY:${target},INTERFACE_INCLUDE_DIRECTORIES>\\n$<TARGET_FILE:${target}>\\n\")\n";
        let folder = PathBuf::from(env::var_os("OUT_DIR")?).join("find");
        fs::create_dir_all(&folder).ok()?;
        fs::write(folder.join("CMakeLists.txt"), PROJECT).ok()?;
        let mut cmake = Command::new("cmake");
        let output = cmake.args(["-S", ".", "-B", "built"]).current_dir(&folder).output().ok()?;
        if !output.status.success() {
            return None;
        }
        let text = fs::read_to_string(folder.join("built/found.txt")).ok()?;
        let (include, library) = text.trim().split_once('\n')?;
        let include = include.split(';').map(PathBuf::from).find(|it| it.join("seal").exists())?;
        Some(Found { include, library: library.into() })
    }

    fn of_pkg_config() -> Option<Found> {
        let package = pkg_config::Config::new()
            .atleast_version("4.0")
            .cargo_metadata(false)
            .env_metadata(true)
            .probe("seal")
            .ok()?;
        let include = package.include_paths.into_iter().find(|it| it.join("seal").exists())?;
        let name = package.libs.iter().find(|name| name.starts_with("seal"))?;
        let names = ["a", "so"].map(|kind| format!("lib{name}.{kind}"));
        let mut places =
            package.link_paths.iter().flat_map(|folder| names.iter().map(|name| folder.join(name)));
        Some(Found { include, library: places.find(|path| path.exists())? })
    }

    fn warn_of_old(include: &Path) -> Result<()> {
        let text = fs::read_to_string(include.join("seal/util/config.h"))?;
        let number = |name: &str| {
            let line =
                text.lines().find_map(|line| line.strip_prefix("#define ")?.strip_prefix(name))?;
            line.trim().parse::<u32>().ok()
        };
        let version =
            number("SEAL_VERSION_MAJOR ").zip(number("SEAL_VERSION_MINOR ")).ok_or(MISSING)?;
        if version < HARDENED {
            let (major, minor) = version;
            say(&format!(
                "warning=SEAL {major}.{minor} is for tests and comparison only; use 4.4 or later in production"
            ))?;
        }
        Ok(())
    }
}
