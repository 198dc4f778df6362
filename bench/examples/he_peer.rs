//! Our side of `bench/peers/he_circuits.py`: circuits on what TenSEAL encrypted, and objects of
//! ours that TenSEAL's SEAL reads. Everything lies in one folder, which the script fills.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::{env, fs};

use nexus_he::seal::tenseal::{ENCODING, Secrets, Shared, Vector};
use nexus_he::seal::{self, Encoding, Limits, Mode, Version};
use nexus_he::{
    Ciphertext, Context, Encoder, GaloisKeys, Plaintext, RelinearisationKey, SecretKey,
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

struct Server {
    context: Arc<Context>,
    wire: seal::Context,
    encoder: Encoder,
    relin: RelinearisationKey,
    galois: GaloisKeys,
}

/// Runs every `circuit-*.txt` of the folder on the vectors `in-*.bin`.
fn evaluate(folder: &Path) -> Done {
    let limits = Limits { bytes: 1 << 31 };
    let shared = Shared::read(&fs::read(folder.join("context.bin"))?, Secrets::Refuse, limits)?;
    let context = Context::new(shared.context.parameters().clone())?;
    let server = Server {
        relin: RelinearisationKey::from_seal(&context, shared.relin.ok_or("no keys")?)?,
        galois: GaloisKeys::from_seal(&context, shared.galois.ok_or("no keys")?)?,
        encoder: Encoder::new(&context)?,
        wire: shared.context,
        context,
    };
    for index in 0_usize.. {
        let Ok(circuit) = fs::read_to_string(folder.join(format!("circuit-{index}.txt"))) else {
            return Ok(());
        };
        let result = server.run(folder, &circuit)?;
        fs::write(folder.join(format!("out-{index}.bin")), result)?;
    }
    Ok(())
}

impl Server {
    /// One step a line; each gives the next register.
    fn run(&self, folder: &Path, circuit: &str) -> Done<Vec<u8>> {
        let mut registers: Vec<Ciphertext> = Vec::new();
        for line in circuit.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let next = self.step(folder, &words, &registers)?;
            registers.push(next);
        }
        let last = registers.pop().ok_or("an empty circuit")?;
        let vector = Vector {
            lengths: vec![self.encoder.slots() as u64],
            scale: last.scale(),
            ciphertexts: vec![last.to_seal(&self.wire)?],
        };
        Ok(vector.write(&self.wire, ENCODING)?)
    }

    fn step(&self, folder: &Path, words: &[&str], registers: &[Ciphertext]) -> Done<Ciphertext> {
        let register = |at: &str| -> Done<&Ciphertext> {
            Ok(registers.get(at.parse::<usize>()?).ok_or("no such register")?)
        };
        Ok(match words {
            ["load", name] => {
                let vector = Vector::read(&fs::read(folder.join(name))?, &self.wire)?;
                let object = vector.ciphertexts.into_iter().next().ok_or("no ciphertext")?;
                Ciphertext::from_seal(&self.context, object)?
            }
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

    fn plain(&self, folder: &Path, name: &str, with: &Ciphertext, scale: f64) -> Done<Plaintext> {
        let text = fs::read_to_string(folder.join(name))?;
        let values = text.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        Ok(self.encoder.encode_at(&values, scale, with.moduli())?)
    }
}

/// Keys, and ciphertexts of sin(0.01 i), for the parameters in `params.bin`.
fn make(folder: &Path, version: Version, bits: i32) -> Done {
    let parameters = seal::read_parameters(&fs::read(folder.join("params.bin"))?)?;
    let context = Context::new(parameters.clone())?;
    let wire = seal::Context::of(&context);
    let rng = &mut ChaCha12Rng::seed_from_u64(version.minor.into());
    let secret = SecretKey::generate(&context, rng);
    let encoder = Encoder::new(&context)?;
    let values: Vec<f64> = (0..encoder.slots()).map(|slot| (0.01 * slot as f64).sin()).collect();
    let plain = encoder.encode(&values, 2_f64.powi(bits))?;
    let (relin, galois) = (secret.relinearisation(rng)?, secret.rotations(&[1], rng)?);
    let seeded = secret.encrypt_seeded(&plain, rng)?;
    let public = secret.public(rng);
    let under_public = public.encrypt(&plain, rng)?;
    let first = seeded.ciphertext();
    let result = first.multiply(first)?.relinearise(&relin)?.rescale()?.rotate(1, &galois)?;
    let how = Encoding { version, mode: Mode::Zstd };
    let none = Encoding { version, mode: Mode::None };
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes);
    write("ours-params.bin", &seal::write_parameters(&parameters, how)?)?;
    write("ours-secret.bin", &secret.to_seal(&wire)?.write(&wire, how)?)?;
    write("ours-public.bin", &public.to_seal(&wire).write(&wire, how)?)?;
    write("ours-relin.bin", &relin.to_seal(&wire).write(&wire, how)?)?;
    write("ours-galois.bin", &galois.to_seal(&wire).write(&wire, how)?)?;
    write("ours-seeded.bin", &seeded.to_seal(&wire)?.write(&wire, how)?)?;
    write("ours-public-ciphertext.bin", &under_public.to_seal(&wire)?.write(&wire, how)?)?;
    write("ours-result.bin", &result.to_seal(&wire)?.write(&wire, none)?)?;
    Ok(())
}
