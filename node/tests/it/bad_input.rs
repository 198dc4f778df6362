//! Input that is wrong: exit code 2, and a message that names the place.

use std::fs;

use crate::nexus::Scratch;

const GOOD: &str = "age,dose,sick\n40,1.5,yes\n50,2.5,no\n60,1.0,yes\n35,0.5,no\n";

/// Runs a job over two files, of which the second is `bad`; it must be refused with all of
/// `said` in the message, and leave nothing behind.
#[track_caller]
fn refused(bad: impl AsRef<[u8]>, said: &[&str]) {
    let scratch = Scratch::new();
    scratch.write("good.csv", GOOD);
    scratch.write("bad.csv", bad);
    scratch.write("job.toml", "[data]\nfiles = ['good.csv', 'bad.csv']\nlabel = 'sick'\n");
    check(&scratch, said);
}

#[track_caller]
fn check(scratch: &Scratch, said: &[&str]) {
    let message = scratch.fail(2, &["run", "job.toml", "--no-baselines"]);
    // The renderer wraps long lines; what is looked for may have been wrapped.
    let flat = message.replace('│', " ");
    let flat = flat.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in said {
        assert!(flat.contains(part), "`{part}` is not in: {message}");
    }
    assert!(!scratch.path().join("runs").exists(), "a refused job left a run behind");
}

#[test]
fn missing_label_column() {
    refused("age,dose,ill\n40,1.5,yes\n", &["bad.csv", "`sick`", "`age`, `dose`, `ill`"]);
}

#[test]
fn ragged_row() {
    refused("age,dose,sick\n40,1.5,yes\n50,no\n", &["bad.csv:3", "3", "2"]);
}

#[test]
fn text_in_a_number_column() {
    refused("age,dose,sick\n40,1.5,yes\n50,2.5,no\nold,3,no\n", &["bad.csv:4", "`age`", "old"]);
}

#[test]
fn nan_in_a_number_column() {
    refused("age,dose,sick\n40,1.5,yes\n50,NaN,no\n", &["bad.csv:3", "`dose`", "NaN"]);
    refused("age,dose,sick\n40,inf,yes\n50,1,no\n", &["bad.csv:2", "`dose`", "inf"]);
}

#[test]
fn files_with_different_columns() {
    refused("age,weight,sick\n40,1.5,yes\n50,2.5,no\n", &["bad.csv", "good.csv", "`dose`"]);
}

#[test]
fn empty_files() {
    refused("", &["bad.csv", "empty"]);
    refused("age,dose,sick\n", &["bad.csv", "no row"]);
}

#[test]
fn one_class_only() {
    let scratch = Scratch::new();
    scratch.write("a.csv", GOOD.replace("no", "yes"));
    scratch.write("b.csv", GOOD.replace("no", "yes"));
    scratch.write("job.toml", "[data]\nfiles = ['a.csv', 'b.csv']\nlabel = 'sick'\n");
    check(&scratch, &["`sick`", "yes", "class"]);
}

#[test]
fn text_that_is_not_utf8() {
    refused(b"age,dose,sick\n40,1.5,yes\n50,\xff\xfe,no\n", &["bad.csv:3", "UTF-8"]);
    let scratch = Scratch::new();
    scratch.write("job.toml", b"[data]\nbuiltin = '\xff'\n");
    check(&scratch, &["job.toml", "UTF-8"]);
}

#[test]
fn missing_file() {
    let scratch = Scratch::new();
    scratch.write("job.toml", "[data]\nfiles = ['a.csv', 'b.csv']\nlabel = 'x'\n");
    check(&scratch, &["a.csv"]);
}

#[test]
fn what_is_no_regular_file() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path().join("a.csv")).unwrap();
    let job = "[data]\nfiles = ['a.csv']\nlabel = 'x'\n[aggregation]\nsuite = 'clear'\n";
    scratch.write("job.toml", job);
    check(&scratch, &["a.csv", "not a regular file"]);
    let said = scratch.fail(2, &["inspect", "a.csv"]);
    assert!(said.contains("not a regular file"), "{said}");
}

#[test]
fn names_that_steer_a_terminal() {
    let scratch = Scratch::new();
    let job = "[data]\nfiles = [\"e\\u001b]0;x\\u0007.csv\"]\nlabel = 'y'\n\
               [aggregation]\nsuite = 'clear'\n";
    scratch.write("job.toml", job);
    let said = scratch.fail(2, &["run", "job.toml", "--color", "always"]);
    assert!(!said.contains("\u{1b}]") && !said.contains('\u{7}'), "{said:?}");
}

#[cfg(feature = "parquet")]
mod parquet {
    use super::*;

    fn hospitals() -> Scratch {
        let scratch = Scratch::new();
        scratch.succeed(&["new", "h", "--template", "tabular", "--parquet"]);
        let job = fs::read_to_string(scratch.path().join("h/job.toml")).unwrap();
        scratch.write(
            "job.toml",
            job.replace("\"north", "\"h/north")
                .replace("\"south", "\"h/south")
                .replace("\"coast", "\"h/coast"),
        );
        scratch
    }

    #[test]
    fn damaged_files() {
        let scratch = hospitals();
        let whole = scratch.read("h/coast.parquet");
        scratch.write("h/coast.parquet", &whole[..whole.len() / 2]);
        check(&scratch, &["coast.parquet"]);
        scratch.write("h/coast.parquet", b"PAR1 this is no parquet PAR1");
        check(&scratch, &["coast.parquet"]);
    }

    /// The footer says that row group 0 has a terabyte; refused before anything is allocated.
    #[test]
    fn a_row_group_that_claims_a_terabyte() {
        let scratch = hospitals();
        let whole = scratch.read("h/coast.parquet");
        let found = scratch.succeed(&["inspect", "--json", "h/coast.parquet"]);
        let found: serde_json::Value = serde_json::from_str(&found).unwrap();
        let rows = found["facts"]["rows"].as_u64().unwrap();
        scratch.write("h/coast.parquet", claim_a_terabyte(&whole, rows));
        check(&scratch, &["coast.parquet", "1099511627776"]);
    }

    /// Rewrites the size in the row group: in the footer's compact Thrift it is the 64-bit field
    /// before the one with the number of rows.
    fn claim_a_terabyte(file: &[u8], rows: u64) -> Vec<u8> {
        const FIELD: u8 = 0x16;
        let tail = file.len() - 8;
        let length = u32::from_le_bytes(file[tail..tail + 4].try_into().unwrap()) as usize;
        let (data, footer) = file[..tail].split_at(tail - length);
        let count = [&[FIELD][..], &varint(2 * rows)].concat();
        let end = (0..footer.len()).rfind(|&at| footer[at..].starts_with(&count)).unwrap();
        let start = (1..end).rfind(|&at| footer[at - 1] & 0x80 == 0).unwrap();
        assert_eq!(footer[start - 1], FIELD);
        let claimed = [&footer[..start], &varint(2 << 40), &footer[end..]].concat();
        let length = u32::try_from(claimed.len()).unwrap().to_le_bytes();
        [data, &claimed, &length, b"PAR1"].concat()
    }

    fn varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value > 0x7f {
            bytes.push(0x80 | (value & 0x7f) as u8);
            value >>= 7;
        }
        bytes.push(u8::try_from(value).unwrap());
        bytes
    }
}

#[track_caller]
fn bad_job(job: &str, said: &[&str]) {
    let scratch = Scratch::new();
    scratch.write("job.toml", job);
    check(&scratch, said);
}

#[test]
fn unknown_keys() {
    bad_job("[data]\nbuiltin = 'digits'\nowner = 3\n", &["job.toml:3:1", "unknown field `owner`"]);
    bad_job("[data]\nbuiltin = 'digits'\n[trainin]\n", &["job.toml:3:2", "trainin"]);
    bad_job(
        "[data]\nbuiltin = 'digits'\n[training]\nstrategy = { fedprox = { nu = 1.0 } }\n",
        &["job.toml:4", "nu"],
    );
}

#[test]
fn settings_that_do_not_go_together() {
    let job = |lines: &str| format!("[data]\nbuiltin = 'digits'\n{lines}\n");
    let adam = job("[training]\nstrategy = 'scaffold'\noptimiser = 'adam'");
    bad_job(&adam, &["job.toml:5:13", "adam"]);
    bad_job(&job("[aggregation]\nrule = 'krum'"), &["job.toml:4:8", "missing field `byzantine`"]);
    let twice = "[data]\nfiles = ['a.csv', 'a.csv']\nlabel = 'x'\n";
    bad_job(twice, &["job.toml:2:9", "twice"]);
}

/// A job with these lines in `[aggregation]`, the first of which is line 4 of the file.
fn summed(lines: &str) -> String {
    format!("[data]\nbuiltin = 'digits'\n[aggregation]\n{lines}\n")
}

#[test]
fn what_a_masked_sum_does_not_show() {
    let krum = "rule = { multi_krum = { byzantine = 1 } }";
    for (rule, name) in [("rule = 'median'", "`median`"), (krum, "`multi_krum`")] {
        let said = ["job.toml:4:8", name, "compares single updates", "norm_bound"];
        bad_job(&summed(rule), &said);
        bad_job(&summed(&format!("{rule}\nsuite = 'secagg-plus'")), &said);
    }
    let fedbuff = "[data]\nbuiltin = 'digits'\n[training]\nstrategy = 'fedbuff'\n";
    bad_job(fedbuff, &["job.toml:4:12", "`fedbuff`", "another strategy", "suite = \"clear\""]);
}

#[test]
fn too_few_owners_for_a_masked_sum() {
    let one = "[data]\nbuiltin = 'digits'\nowners = 1\n";
    bad_job(one, &["job.toml:3:10", "`nx` need 2 owners", "suite = \"clear\""]);
    let file = "[data]\nfiles = ['a.csv']\nlabel = 'x'\n";
    bad_job(file, &["job.toml:2:9", "`nx` need 2 owners"]);
    let two = "[data]\nbuiltin = 'digits'\nowners = 2\n[aggregation]\nsuite = 'secagg-plus'\n";
    bad_job(two, &["job.toml:3:10", "`secagg-plus` need 3 owners"]);
    bad_job(&summed("n_min = 11"), &["job.toml:4:9", "n_min is 11", "10 owners"]);
}

#[test]
fn keys_of_another_suite() {
    bad_job(
        &summed("members = 7\nsuite = 'secagg-plus'"),
        &["job.toml:4:11", "`members` belongs to the suite `nx`", "this is `secagg-plus`"],
    );
    bad_job(&summed("dropout = 0.2"), &["job.toml:4:11", "suite `secagg-plus`", "this is `nx`"]);
    for key in ["clip = 1.0", "n_min = 3", "max_attempts = 1"] {
        let said = ["job.toml:4", "suites `nx` and `secagg-plus`", "this is `clear`"];
        bad_job(&summed(&format!("{key}\nsuite = 'clear'")), &said);
    }
}

#[test]
fn settings_of_masked_sums_out_of_range() {
    for (line, said) in [
        ("clip = 0.0", "clip is 0"),
        ("clip = nan", "clip is NaN"),
        ("n_min = 1", "n_min is 1"),
        ("max_attempts = 17", "max_attempts is 17"),
        ("members = 5", "members is 5"),
        ("packing = 5", "packing is 5"),
        ("leaves = 0", "leaves is 0"),
        ("suite = 'secagg'", "secagg-plus"),
        ("n_min = 3\ncorrupt = 0.2", "it must be from 4 to 10"),
        ("corrupt = 0.34\nsuite = 'secagg-plus'", "corrupt is 0.34"),
        ("dropout = 0.5\nsuite = 'secagg-plus'", "dropout is 0.5"),
    ] {
        bad_job(&summed(line), &["job.toml:4", said]);
    }
}

#[test]
fn values_out_of_range() {
    let training = |line: &str| format!("[data]\nbuiltin = 'digits'\n[training]\n{line}\n");
    bad_job(&training("rounds = 0"), &["job.toml:4:10", "rounds is 0"]);
    bad_job(&training("learning_rate = nan"), &["job.toml:4:17", "learning_rate is NaN"]);
    bad_job(&training("batch_size = 0"), &["job.toml:4:14", "batch_size is 0"]);
    bad_job(&training("rounds = 'three'"), &["job.toml:4:10", "three"]);
    bad_job(&training("quorum = 11"), &["job.toml", "quorum"]);
    bad_job("[data]\nbuiltin = 'digits'\ntest_fraction = 1.5\n", &["job.toml:3:17", "1.5"]);
    bad_job("[data]\nbuiltin = 'digits'\nowners = 5000\n", &["job.toml:3:10", "5000"]);
    bad_job("[job]\nname = 'No!'\n[data]\nbuiltin = 'digits'\n", &["job.toml:2:8", "`No!`"]);
    bad_job("[job]\nname = 'x'\n[data]\n", &["job.toml", "no data"]);
    bad_job("this is no toml", &["job.toml:1"]);
}

#[test]
fn a_model_that_does_not_fit_the_data() {
    let spec = "version = 1\ninput = [63]\nloss = 'softmax_cross_entropy'\n\
                layers = [{ linear = { outputs = 10 } }]\n";
    let job = "[data]\nbuiltin = 'digits'\n[model]\nspec = 'model.toml'\n";
    let scratch = Scratch::new();
    scratch.write("model.toml", spec);
    scratch.write("job.toml", job);
    check(&scratch, &["job.toml:4:8", "63", "64"]);
    scratch.write("model.toml", spec.replace("63", "64").replace("10", "9"));
    check(&scratch, &["job.toml:4:8", "9 outputs", "10 classes"]);
    scratch.write("model.toml", spec.replace("outputs", "output"));
    check(&scratch, &["model.toml", "output"]);
    bad_job(
        "[data]\nbuiltin = 'digits'\n[model]\nkind = 'logistic'\n",
        &["job.toml:4:8", "two classes"],
    );
}

#[test]
fn faults_out_of_range() {
    let scratch = Scratch::new();
    scratch.write("faults.toml", "[owners]\ndrop = 1.5\n");
    let said = scratch.fail(2, &["run", "--faults", "faults.toml"]);
    assert!(said.contains("owners.drop"), "{said}");
    scratch.write("faults.toml", "attack = [{ owners = [3], kind = 'sign_flip' }]");
    let said = scratch.fail(2, &["run", "--faults", "faults.toml"]);
    assert!(said.contains("faults.toml: `attack.kind` is `sign_flip`"), "{said}");
    scratch.write("faults.toml", "[owners]\ndorp = 0.5\n");
    let said = scratch.fail(2, &["run", "--faults", "faults.toml"]);
    assert!(said.contains("dorp"), "{said}");
}
