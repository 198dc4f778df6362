//! Models on encrypted rows: in one process, and with a server of its own.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

use cipher_nexus::inference::Answering;
use cipher_nexus::inference::remote::Remote;
use nexus_he::{Encoder, SecretKey, seal};
use nexus_inference::Client;
use nexus_types::Digest;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;

use crate::nexus::{Scratch, text};

const JOB: &str = r#"
[job]
name = "tumours"
[data]
builtin = "breast_cancer"
owners = 3
[model]
kind = "logistic"
[training]
rounds = 4
"#;

fn trained() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("job.toml", JOB);
    scratch.succeed(&["run", "job.toml", "--no-baselines", "-q"]);
    scratch
}

fn json(output: &str) -> Value {
    serde_json::from_str(output).unwrap_or_else(|error| panic!("{error}: {output}"))
}

/// A server that ends with the value.
struct Served(Child, String);

impl Served {
    fn new(scratch: &Scratch) -> Self {
        Self::with(scratch, &[])
    }

    fn with(scratch: &Scratch, more: &[&str]) -> Self {
        Self::of("tumours-1", scratch, more)
    }

    fn of(model: &str, scratch: &Scratch, more: &[&str]) -> Self {
        let arguments = ["serve", model, "--listen", "127.0.0.1:0", "--users", "2"];
        let mut command = scratch.command(&[&arguments[..], more].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        Self(child, url.trim().to_owned())
    }

    /// Whether these words lie one after the other somewhere in the memory of the server.
    fn holds(&self, words: &[u64]) -> bool {
        let id = self.0.id();
        let needle: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let maps = std::fs::read_to_string(format!("/proc/{id}/maps")).unwrap();
        let mut memory = File::open(format!("/proc/{id}/mem")).unwrap();
        maps.lines().filter(|line| line.contains(" rw")).any(|line| {
            let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
            let [from, to] = [from, to].map(|at| u64::from_str_radix(at, 16).unwrap());
            let mut bytes = Vec::new();
            let read = memory
                .seek(SeekFrom::Start(from))
                .and_then(|_| (&memory).take(to - from).read_to_end(&mut bytes));
            // Some pages of the kernel's cannot be read.
            read.is_ok() && bytes.windows(needle.len()).step_by(8).any(|window| window == needle)
        })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_model_is_used_unseen() {
    let scratch = trained();
    let arguments = ["infer", "tumours-1", "test", "--encrypted", "--seal-model", "--rows", "5"];
    let document = json(&scratch.succeed(&[&arguments[..], &["--json"]].concat()));
    assert_eq!(document["agreement"], 1.0, "{document}");
    assert!(document["largest_distance"].as_f64().unwrap() < 1e-2, "{document}");
    assert!(document["bytes"]["weights"].as_u64().unwrap() > 50_000, "{document}");
    let said = scratch.nexus(&arguments);
    assert!(text(&said.stderr).contains("the model's weights were encrypted, too"));
    // A server has its own way to take a model.
    let said = scratch.fail(2, &[&arguments[..], &["--server", "http://127.0.0.1:9"]].concat());
    assert!(said.contains("--seal-model"), "{said}");
}

#[test]
fn answers_are_those_of_the_server_that_is_meant() {
    let scratch = trained();
    let kept = ["--identity", "server.key", "--together"];
    let served = Served::with(&scratch, &kept);
    let asked = ["infer", "tumours-1", "test", "--encrypted", "--rows", "2", "--server", &served.1];
    let said = scratch.nexus(&asked);
    let said = text(&said.stderr);
    let key = said.split("the answers are of ").nth(1).unwrap().split(';').next().unwrap();
    let pinned = |key: &str| [&asked[..], &["--server-key", key]].concat().join(" ");
    let run = |line: String| scratch.nexus(&line.split(' ').collect::<Vec<_>>());
    assert!(run(pinned(key)).status.success());
    let other = Digest([7; 32]).to_string();
    let refused = run(pinned(&other));
    let said = text(&refused.stderr).replace("\n  │ ", " ");
    assert_eq!(refused.status.code(), Some(5), "{said}");
    assert!(said.contains(key) && said.contains(&other), "{said}");
    // The key outlives the process, and nobody else may read it.
    drop(served);
    let mode = std::fs::metadata(scratch.path().join("server.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let served = Served::with(&scratch, &kept);
    let again = ["infer", "tumours-1", "test", "--encrypted", "--rows", "1", "--server", &served.1];
    scratch.succeed(&[&again[..], &["--server-key", key]].concat());
}

/// The status line of the answer to a request.
fn status(url: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    stream.write_all(request).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim().to_owned()
}

#[test]
fn who_does_not_sign_is_taken_only_where_that_is_meant() {
    let scratch = trained();
    let get = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").into_bytes()
    };
    let post = |path: &str, body: &str| {
        let length = body.len();
        format!("POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
            .into_bytes()
    };
    let strict = Served::new(&scratch);
    assert_eq!(status(&strict.1, &get("/v1/description")), "HTTP/1.1 404 Not Found");
    assert_eq!(status(&strict.1, &get("/v1/signed/description")), "HTTP/1.1 200 OK");
    let nobody = "x".repeat(200);
    assert_eq!(status(&strict.1, &post("/v1/signed/keys", &nobody)), "HTTP/1.1 401 Unauthorized");
    let open = Served::with(&scratch, &["--unsigned"]);
    assert_eq!(status(&open.1, &get("/v1/description")), "HTTP/1.1 200 OK");
    assert_eq!(status(&open.1, &post("/v1/keys", &nobody)), "HTTP/1.1 400 Bad Request");
    // Keys of one user are no keys of another.
    let (mut first, mut second) = (Remote::new(&open.1, None), Remote::new(&open.1, None));
    let client = Client::new(first.description().unwrap(), &mut ChaCha12Rng::seed_from_u64(2));
    let (client, rng) = (client.unwrap(), &mut ChaCha12Rng::seed_from_u64(3));
    let name = first.register(&client.keys(rng).unwrap()).unwrap();
    let question = client.question(&[0.5; 30], rng).unwrap();
    first.answer(name, &question).unwrap();
    second.description().unwrap();
    let refused = second.answer(name, &question).unwrap_err().to_string();
    assert!(refused.contains("404") && refused.contains("no keys"), "{refused}");
}

#[test]
fn who_sends_slowly_takes_no_place() {
    let scratch = trained();
    let served = Served::with(&scratch, &["--threads", "1"]);
    // More than the places of one thread: 17. None of them ever sends its body.
    let head = "POST /v1/signed/keys HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nx";
    let slow: Vec<TcpStream> = (0..40)
        .map(|_| {
            let address = served.1.trim_start_matches("http://");
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    let asked = ["infer", "tumours-1", "test", "--encrypted", "--rows", "2", "--server", &served.1];
    assert_eq!(scratch.succeed(&asked).lines().count(), 2);
    drop(slow);
}

#[test]
fn a_trained_model_is_used_on_encrypted_rows() {
    let scratch = trained();
    let plan = json(&scratch.succeed(&["model", "compile", "tumours-1", "--he", "--json"]));
    assert_eq!(plan["degree"], 4096);
    assert_eq!(plan["activations"], Value::Array(Vec::new()));
    let clear = json(&scratch.succeed(&["infer", "tumours-1", "test", "--json"]));
    let sealed = ["infer", "tumours-1", "test", "--encrypted", "--json"];
    let sealed = json(&scratch.succeed(&sealed));
    assert_eq!(sealed["accuracy"], clear["accuracy"]);
    assert_eq!(
        (&sealed["agreement"], &sealed["one_process"]),
        (&Value::from(1.0), &Value::from(true))
    );
    assert!(sealed["largest_distance"].as_f64().unwrap() < 1e-3);
    let batch = ["infer", "tumours-1", "test", "--encrypted", "--batch", "--json"];
    let batch = json(&scratch.succeed(&batch));
    assert_eq!(batch["accuracy"], clear["accuracy"]);
    assert_eq!(
        (&batch["agreement"], &batch["rows_of_a_question"]),
        (&Value::from(1.0), &plan["batch"]["rows_of_a_question"])
    );
    // The rows that a run keeps back are cheaper together than one by one; few are not.
    assert_eq!(sealed["rows_of_a_question"], batch["rows_of_a_question"]);
    let one = ["infer", "tumours-1", "test", "--encrypted", "--rows", "1", "--json"];
    assert_eq!(json(&scratch.succeed(&one))["rows_of_a_question"], 1);
    let said = scratch.nexus(&["infer", "tumours-1", "test", "--encrypted", "--rows", "3"]);
    assert_eq!(text(&said.stdout).lines().count(), 3);
    assert!(text(&said.stderr).contains("simulated"), "{}", text(&said.stderr));
    let rows = |width: usize| {
        let line = |value: &str| format!("{}\n", vec![value; width].join(","));
        format!("{}{}{}", line("c"), line("0.25"), line("-1"))
    };
    let names = (0..30).map(|at| format!("c{at}")).collect::<Vec<_>>().join(",");
    scratch.write("rows.csv", rows(30).replacen(&["c"; 30].join(","), &names, 1));
    let rows = scratch.succeed(&["infer", "tumours-1", "rows.csv", "--encrypted"]);
    assert_eq!(rows.lines().count(), 2);
    scratch.write("narrow.csv", "a,b\n1,2\n");
    let said = scratch.fail(2, &["infer", "tumours-1", "narrow.csv", "--encrypted"]);
    assert!(said.contains("2 columns") && said.contains("30"), "{said}");
    scratch.fail(2, &["infer", "nobody-1", "test"]);
    let server = ["infer", "tumours-1", "test", "--encrypted", "--server", "http://127.0.0.1:1"];
    scratch.fail(5, &server);
}

const IMAGES: &str = r#"
[job]
name = "images"
[data]
builtin = "digits"
owners = 2
[model]
kind = "cnn"
[training]
rounds = 2
[aggregation]
suite = "clear"
"#;

#[test]
fn a_network_that_has_no_circuit_learns_to_be_one() {
    let scratch = Scratch::new();
    scratch.write("job.toml", IMAGES);
    scratch.succeed(&["run", "job.toml", "--no-baselines", "-q"]);
    let said = scratch.fail(2, &["model", "compile", "images-1", "--he"]);
    assert!(said.contains("max_pool") && said.contains("fine-tune"), "{said}");
    let compile = ["model", "compile", "images-1", "--he", "--fine-tune", "2", "--json"];
    let plan = json(&scratch.succeed(&compile));
    assert_eq!((&plan["fine_tuned"], &plan["degree"]), (&Value::from(2), &Value::from(8192)));
    assert!(plan["other_agreement"].as_f64().unwrap() > 0.9, "{plan}");
    let asked = ["infer", "images-1", "test", "--rows", "12", "--encrypted", "--json"];
    let answers = json(&scratch.succeed(&asked));
    assert!(answers["agreement"].as_f64().unwrap() > 0.8, "{answers}");

    // The server and the client's copy of the run name the model that is computed, not the one trained.
    let served = Served::of("images-1", &scratch, &[]);
    let asked = [&asked[..], &["--server", &served.1]].concat();
    let remote = json(&scratch.succeed(&asked));
    let classes = |it: &Value| {
        let all = it["predictions"].as_array().unwrap().iter();
        all.map(|it| it["class"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(classes(&remote), classes(&answers));

    // Weights of another network are not taken for its own.
    let run = scratch.path().join("runs/images-1");
    std::fs::copy(run.join("model.safetensors"), run.join("encrypted.safetensors")).unwrap();
    let said = scratch.fail(2, &["infer", "images-1", "test", "--rows", "1", "--encrypted"]);
    assert!(said.contains("model"), "{said}");
}

#[test]
fn squares_need_no_approximation() {
    let scratch = Scratch::new();
    let job = IMAGES.replace("\"cnn\"", "\"mlp\"\nactivation = \"square\"");
    scratch.write("job.toml", job.replace("rounds = 2", "rounds = 5"));
    scratch.succeed(&["run", "job.toml", "--no-baselines", "-q"]);
    let plan = json(&scratch.succeed(&["model", "compile", "images-1", "--he", "--json"]));
    assert_eq!((&plan["degree"], &plan["agreement"]), (&Value::from(8192), &Value::from(1.0)));
    assert_eq!(plan["activations"], Value::Array(Vec::new()));
    let answers = json(&scratch.succeed(&["infer", "images-1", "test", "--encrypted", "--json"]));
    assert_eq!(answers["agreement"], 1.0);
    assert!(answers["accuracy"].as_f64().unwrap() > 0.85, "{answers}");
}

#[test]
fn a_server_answers_and_never_has_the_secret() {
    let scratch = trained();
    let served = Served::new(&scratch);
    let asked = ["infer", "tumours-1", "test", "--encrypted", "--server", &served.1, "--json"];
    let answered = json(&scratch.succeed(&asked));
    assert_eq!(
        (&answered["agreement"], &answered["one_process"]),
        (&Value::from(1.0), &Value::from(false))
    );

    // By hand, with a key that is known here.
    let mut remote = Remote::new(&served.1, None);
    let description = remote.description().unwrap();
    let other =
        ["infer", &Digest([7; 32]).to_string(), "test", "--encrypted", "--server", &served.1];
    assert!(scratch.fail(2, &other).contains(&description.model.to_string()));
    let context = description.terms.context().unwrap();
    let (wire, rng) = (seal::Context::of(&context), &mut ChaCha12Rng::seed_from_u64(1));
    let secret = SecretKey::generate(&context, rng);
    let keys = description.terms.keys(&secret, rng).unwrap();
    let object = keys.rotate.to_seal(&wire);
    let known = object.keys.values().next().unwrap()[0].words[..64].to_vec();
    let bytes = object.write(&wire, seal::Encoding::default()).unwrap();
    let name = remote.register(&bytes).unwrap();
    let row = description.terms.pack(&Encoder::new(&context).unwrap(), &[0.5; 30]).unwrap();
    let question = secret.encrypt_seeded(&row, rng).unwrap().to_seal(&wire).unwrap();
    let question = question.write(&wire, seal::Encoding::default()).unwrap();
    remote.answer(name, &question).unwrap();
    assert!(served.holds(&known), "what was sent is found");
    let words = secret.to_seal(&wire).unwrap();
    for words in words.words().chunks(4096) {
        assert!(!served.holds(&words[..64]), "the secret is found");
    }

    // What is no question is refused, and the server goes on.
    assert!(remote.answer(Digest([0; 32]), &question).unwrap_err().to_string().contains("404"));
    assert!(remote.answer(name, b"no question").unwrap_err().to_string().contains("400"));
    // Who sends on after a refusal may find the connection closed before it is read, then or later.
    assert!(Remote::new(&served.1, None).answer(name, &vec![0; 1 << 20]).is_err());
    let said = remote.register(b"no keys").unwrap_err().to_string();
    assert!(said.contains("400"), "{said}");
    remote.answer(name, &question).unwrap();
    // Two more users, and the first one's keys are gone.
    for seed in 2..4 {
        let secret = SecretKey::generate(&context, &mut ChaCha12Rng::seed_from_u64(seed));
        let keys = description.terms.keys(&secret, rng).unwrap().rotate.to_seal(&wire);
        remote.register(&keys.write(&wire, seal::Encoding::default()).unwrap()).unwrap();
    }
    assert!(remote.answer(name, &question).unwrap_err().to_string().contains("404"));
}
