//! `fuzz`: the targets; `fuzz mutate COUNT [SEED [NAME]]`: so many damaged inputs for each of them, or
//! for those whose names begin so;
//! `fuzz replay TARGET FILE..`: those inputs; `fuzz corpus FOLDER`: writes the valid ones.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use fuzz::{Mutator, TARGETS, corpus, target};

type Done = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [] => list(),
        ["mutate", count] => number(count).and_then(|count| mutate(count, 1, "")),
        ["mutate", count, seed] => both(count, seed).and_then(|it| mutate(it[0], it[1], "")),
        ["mutate", count, seed, name] => {
            both(count, seed).and_then(|it| mutate(it[0], it[1], name))
        }
        ["replay", name, files @ ..] => replay(name, files),
        ["corpus", folder] => write(Path::new(folder)),
        _ => Err("fuzz [mutate COUNT [SEED [NAME]] | replay TARGET FILE.. | corpus FOLDER]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::from(2)
        }
    }
}

fn number(text: &str) -> Result<u64, Box<dyn Error + Send + Sync>> {
    Ok(text.parse()?)
}

fn both(a: &str, b: &str) -> Result<[u64; 2], Box<dyn Error + Send + Sync>> {
    Ok([number(a)?, number(b)?])
}

#[expect(clippy::unnecessary_wraps, reason = "one of several commands")]
fn list() -> Done {
    for target in TARGETS {
        println!("{}", target.name);
    }
    Ok(())
}

fn mutate(count: u64, seed: u64, name: &str) -> Done {
    let corpus = corpus()?;
    for target in TARGETS.iter().filter(|target| target.name.starts_with(name)) {
        let inputs = corpus.get(target.name).map_or(&[][..], Vec::as_slice);
        let mut mutator = Mutator::new(seed);
        for _ in 0..count {
            (target.run)(&mutator.next(inputs));
        }
        println!("{}: {count} of {} inputs", target.name, inputs.len());
    }
    Ok(())
}

fn replay(name: &str, files: &[&str]) -> Done {
    let target = target(name).ok_or("no target of that name")?;
    for file in files {
        (target.run)(&fs::read(file)?);
        println!("{file}: fine");
    }
    Ok(())
}

/// One file per input; the first byte chooses the target, as libFuzzer's program expects.
fn write(folder: &Path) -> Done {
    fs::create_dir_all(folder)?;
    let corpus = corpus()?;
    for (choice, target) in (0u8..).zip(TARGETS) {
        for (number, input) in corpus.get(target.name).into_iter().flatten().enumerate() {
            let bytes = [&[choice], input.as_slice()].concat();
            fs::write(folder.join(format!("{choice}-{number}")), bytes)?;
        }
    }
    Ok(())
}
