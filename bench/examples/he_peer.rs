//! Our side of `bench/peers/he_circuits.py`: circuits on what TenSEAL encrypted, and objects of
//! ours that TenSEAL's SEAL reads. Everything lies in one folder, which the script fills.

use std::error::Error;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::{env, fs};

use nexus_he::seal::tenseal::{ENCODING, Secrets, Shared, Vector};
use nexus_he::seal::{self, Encoding, Limits, Mode, Version};
use nexus_he::{
    Ciphertext, Context, Encoder, GaloisKeys, Plaintext, RelinearisationKey, Scheme, SecretKey, bfv,
};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

type Done<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Done {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [what, folder] if what == "evaluate" => evaluate(Path::new(folder)),
        [what, folder, major, minor, bits] if what == "make" => {
            let version = Version { major: major.parse()?, minor: minor.parse()? };
            make(Path::new(folder), version, bits.parse()?)
        }
        _ => Err("evaluate FOLDER | make FOLDER MAJOR MINOR BITS".into()),
    }
}

/// What a server has: no secret.
struct Server<E> {
    context: Arc<Context>,
    wire: seal::Context,
    encoder: E,
    relin: RelinearisationKey,
    galois: GaloisKeys,
}

/// Runs every `circuit-*.txt` of the folder on the vectors `in-*.bin`.
fn evaluate(folder: &Path) -> Done {
    let limits = Limits { bytes: 1 << 31 };
    let shared = Shared::read(&fs::read(folder.join("context.bin"))?, Secrets::Refuse, limits)?;
    let context = Context::new(shared.context.parameters().clone())?;
    match context.parameters().scheme() {
        Scheme::Ckks => Server::new(shared, &context, Encoder::new(&context)?)?.run(folder),
        Scheme::Bfv => Server::new(shared, &context, bfv::Encoder::new(&context)?)?.run(folder),
    }
}

/// One scheme: ciphertexts as objects and back, and one step of a circuit.
trait Steps {
    type Ciphertext;

    fn load(&self, object: seal::Ciphertext) -> Done<Self::Ciphertext>;
    fn store(&self, ciphertext: &Self::Ciphertext) -> Done<Vector>;
    fn step(
        &self,
        folder: &Path,
        words: &[&str],
        registers: &[Self::Ciphertext],
    ) -> Done<Self::Ciphertext>;
}

impl<E> Server<E>
where
    Self: Steps,
{
    fn new(shared: Shared, context: &Arc<Context>, encoder: E) -> Done<Self> {
        Ok(Self {
            relin: RelinearisationKey::from_seal(context, shared.relin.ok_or("no keys")?)?,
            galois: GaloisKeys::from_seal(context, shared.galois.ok_or("no keys")?)?,
            encoder,
            wire: shared.context,
            context: Arc::clone(context),
        })
    }

    fn run(&self, folder: &Path) -> Done {
        for index in 0_usize.. {
            let Ok(circuit) = fs::read_to_string(folder.join(format!("circuit-{index}.txt")))
            else {
                return Ok(());
            };
            let result = self.circuit(folder, &circuit)?.write(&self.wire, ENCODING)?;
            fs::write(folder.join(format!("out-{index}.bin")), result)?;
        }
        Ok(())
    }

    /// One step a line; each gives the next register.
    fn circuit(&self, folder: &Path, circuit: &str) -> Done<Vector> {
        let mut registers: Vec<<Self as Steps>::Ciphertext> = Vec::new();
        for line in circuit.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let next = match *words {
                ["load", name] => {
                    let vector = Vector::read(&fs::read(folder.join(name))?, &self.wire)?;
                    self.load(vector.ciphertexts.into_iter().next().ok_or("no ciphertext")?)?
                }
                _ => self.step(folder, &words, &registers)?,
            };
            registers.push(next);
        }
        self.store(registers.last().ok_or("an empty circuit")?)
    }
}

fn register<'a, C>(registers: &'a [C], at: &str) -> Done<&'a C> {
    Ok(registers.get(at.parse::<usize>()?).ok_or("no such register")?)
}

fn numbers<T: FromStr<Err: Error + 'static>>(folder: &Path, name: &str) -> Done<Vec<T>> {
    let text = fs::read_to_string(folder.join(name))?;
    Ok(text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}

impl Server<Encoder> {
    fn plain(&self, folder: &Path, name: &str, with: &Ciphertext, scale: f64) -> Done<Plaintext> {
        Ok(self.encoder.encode_at(&numbers::<f64>(folder, name)?, scale, with.moduli())?)
    }
}

impl Steps for Server<Encoder> {
    type Ciphertext = Ciphertext;

    fn load(&self, object: seal::Ciphertext) -> Done<Ciphertext> {
        Ok(Ciphertext::from_seal(&self.context, object)?)
    }

    fn store(&self, it: &Ciphertext) -> Done<Vector> {
        let lengths = vec![self.encoder.slots() as u64];
        Ok(Vector { lengths, scale: it.scale(), ciphertexts: vec![it.to_seal(&self.wire)?] })
    }

    fn step(&self, folder: &Path, words: &[&str], registers: &[Ciphertext]) -> Done<Ciphertext> {
        let register = |at| register(registers, at);
        Ok(match words {
            ["add", a, b] => register(a)?.clone().plus(register(b)?)?,
            ["subtract", a, b] => register(a)?.clone().minus(register(b)?)?,
            ["negate", a] => register(a)?.clone().negated(),
            ["multiply", a, b] => register(a)?.multiply(register(b)?)?,
            ["relinearise", a] => register(a)?.clone().relinearise(&self.relin)?,
            ["rescale", a] => register(a)?.clone().rescale()?,
            ["drop", a] => {
                let a = register(a)?.clone();
                let moduli = a.moduli() - 1;
                a.drop_to(moduli)?
            }
            ["rotate", a, steps] => register(a)?.rotate(steps.parse()?, &self.galois)?,
            ["add_plain", a, name] => {
                let a = register(a)?;
                a.clone().add_plain(&self.plain(folder, name, a, a.scale())?)?
            }
            ["multiply_plain", a, name, scale] => {
                let a = register(a)?;
                a.clone().multiply_plain(&self.plain(folder, name, a, scale.parse()?)?)?
            }
            _ => return Err("an unknown step".into()),
        })
    }
}

impl Steps for Server<bfv::Encoder> {
    type Ciphertext = bfv::Ciphertext;

    fn load(&self, object: seal::Ciphertext) -> Done<bfv::Ciphertext> {
        Ok(bfv::Ciphertext::from_seal(&self.context, object)?)
    }

    fn store(&self, it: &bfv::Ciphertext) -> Done<Vector> {
        let lengths = vec![self.encoder.slots() as u64];
        Ok(Vector { lengths, scale: 1.0, ciphertexts: vec![it.to_seal(&self.wire)?] })
    }

    fn step(
        &self,
        folder: &Path,
        words: &[&str],
        registers: &[bfv::Ciphertext],
    ) -> Done<bfv::Ciphertext> {
        let register = |at| register(registers, at);
        let plain = |name| -> Done<_> { Ok(self.encoder.encode(&numbers::<i64>(folder, name)?)?) };
        Ok(match words {
            ["add", a, b] => register(a)?.clone().plus(register(b)?)?,
            ["subtract", a, b] => register(a)?.clone().minus(register(b)?)?,
            ["negate", a] => register(a)?.clone().negated(),
            ["multiply", a, b] => register(a)?.multiply(register(b)?)?,
            ["relinearise", a] => register(a)?.clone().relinearise(&self.relin)?,
            ["drop", a] => register(a)?.clone().drop_last()?,
            ["rotate", a, steps] => register(a)?.rotate(steps.parse()?, &self.galois)?,
            ["swap", a] => register(a)?.swap_rows(&self.galois)?,
            ["add_plain", a, name] => register(a)?.clone().add_plain(&plain(name)?)?,
            ["multiply_plain", a, name] => register(a)?.clone().multiply_plain(&plain(name)?)?,
            _ => return Err("an unknown step".into()),
        })
    }
}

/// Keys for the parameters in `params.bin`, and ciphertexts of sin(0.01 i), or of i mod 1000 in BFV:
/// fresh ones, a square of three polynomials, and that relinearised, a level lower, rotated.
fn make(folder: &Path, version: Version, bits: i32) -> Done {
    let parameters = seal::read_parameters(&fs::read(folder.join("params.bin"))?)?;
    let context = Context::new(parameters.clone())?;
    let wire = seal::Context::of(&context);
    let rng = &mut ChaCha12Rng::seed_from_u64(version.minor.into());
    let secret = SecretKey::generate(&context, rng);
    let (relin, galois) = (secret.relinearisation(rng)?, secret.rotations(&[1], rng)?);
    let public = secret.public(rng);
    let objects = if parameters.scheme() == Scheme::Ckks {
        let encoder = Encoder::new(&context)?;
        let values = (0..encoder.slots()).map(|slot| (0.01 * slot as f64).sin());
        let plain = encoder.encode(&values.collect::<Vec<_>>(), 2_f64.powi(bits))?;
        let seeded = secret.encrypt_seeded(&plain, rng)?;
        let square = seeded.ciphertext().multiply(seeded.ciphertext())?;
        let result = square.clone().relinearise(&relin)?.rescale()?.rotate(1, &galois)?;
        let under_public = public.encrypt(&plain, rng)?;
        [
            seeded.to_seal(&wire)?,
            under_public.to_seal(&wire)?,
            square.to_seal(&wire)?,
            result.to_seal(&wire)?,
        ]
    } else {
        let encoder = bfv::Encoder::new(&context)?;
        let values = (0_i64..).map(|slot| slot % 1000).take(encoder.slots());
        let plain = encoder.encode(&values.collect::<Vec<_>>())?;
        let seeded = secret.encrypt_integers_seeded(&plain, rng)?;
        let square = seeded.ciphertext().multiply(seeded.ciphertext())?;
        let result = square.clone().relinearise(&relin)?.drop_last()?.rotate(1, &galois)?;
        let under_public = public.encrypt_integers(&plain, rng)?;
        [
            seeded.to_seal(&wire)?,
            under_public.to_seal(&wire)?,
            square.to_seal(&wire)?,
            result.to_seal(&wire)?,
        ]
    };
    let how = Encoding { version, mode: Mode::Zstd };
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes);
    write("ours-params.bin", &seal::write_parameters(&parameters, how)?)?;
    write("ours-secret.bin", &secret.to_seal(&wire)?.write(&wire, how)?)?;
    write("ours-public.bin", &public.to_seal(&wire).write(&wire, how)?)?;
    write("ours-relin.bin", &relin.to_seal(&wire).write(&wire, how)?)?;
    write("ours-galois.bin", &galois.to_seal(&wire).write(&wire, how)?)?;
    let names =
        ["ours-seeded.bin", "ours-public-ciphertext.bin", "ours-square.bin", "ours-result.bin"];
    for (name, object) in names.into_iter().zip(&objects) {
        write(name, &object.write(&wire, how)?)?;
    }
    Ok(())
}
