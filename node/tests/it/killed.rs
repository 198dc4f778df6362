//! A member of the committee that is killed at every moment, over real files.
//!
//! The member is a process of its own (this program again), stopped at every point at which it
//! matters whether something has been written or sent. A malicious coordinator kills it there,
//! starts it again and shows it something else. Whatever it has ever sent is on a pipe.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use cipher_nexus::run::store::DirStore;
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use nexus_mpc::Identity;
use nexus_mpc::aggregation::nx::{Certificate, Proposal, SumShares, Vote};
use nexus_training::{
    Coordinator, CoordinatorEffect, CoordinatorEvent, EngineTerms, JobTerms, LocalResult,
    MAX_EXAMPLE_CAP, Member, MemberAnswer, MemberEffect, MemberTask, Participant,
    ParticipantEffect, ParticipantEvent, Peer, Plan, Protection, Restored, Rule, Strategy,
    Weighting,
};
use nexus_types::{
    Canonical, Digest, JobId, MemberId, ModelHash, OwnerId, Seed, Store, Timestamp, peek_tag,
    tag_of,
};

use crate::nexus::Scratch;

const VICTIM: MemberId = MemberId(0);
const OWNERS: u32 = 3;
const MEMBERS: u16 = 4;
const KEY: &str = "member";
const FOLDER: &str = "NEXUS_TEST_MEMBER_FOLDER";
const MANNER: &str = "NEXUS_TEST_MEMBER_MANNER";

/// What the process says on its pipe: a kind, a length, bytes.
const POINT: u8 = 1;
const SENT: u8 = 2;
const DONE: u8 = 3;

/// Points of a message that is written down and answered.
const POINTS: usize = 5;

/// How the process behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// It goes on from its file.
    Honest,
    /// It knows that its file may be an old one.
    FromBackup,
    /// The weakened twin sends before it writes.
    Careless,
}

fn identity(party: &str, number: u32) -> Arc<Identity> {
    Arc::new(Identity::from_secret(Digest::of(party, &number.to_le_bytes()).0))
}

fn plan() -> Plan {
    let job = JobId(Digest::of("killed", b"job"));
    let public = |party, number| identity(party, number).public();
    let engine = EngineTerms::Nx {
        members: (0..u32::from(MEMBERS)).map(|number| public("member", number)).collect(),
        packing: Some(1),
        leaves: 1,
        keep_messages: true,
        corrupt_permille: 0,
    };
    let terms = JobTerms {
        job,
        coordinator: public("coordinator", 0),
        owners: (0..OWNERS).map(|number| public("owner", number)).collect(),
        n_min: 2,
        attempts: 2,
        clip: 64.0,
        privacy: None,
        engine,
    };
    Plan {
        job,
        model: ModelHash(Digest::of("killed", b"model")),
        owners: OWNERS,
        rounds: 1,
        parameters: 2,
        statistics: 0,
        fraction: 1.0,
        quorum: 2,
        round_deadline: Duration::from_secs(1),
        attempts: 1,
        strategy: Strategy::FedAvg,
        rule: Rule::Mean,
        weighting: Weighting::Uniform,
        example_cap: MAX_EXAMPLE_CAP,
        seed: Seed::from_number(1),
        protection: Protection::Masked(Arc::new(terms)),
    }
}

fn member(id: MemberId) -> Member {
    Member::new(plan(), id, identity("member", id.0.into())).unwrap()
}

// The process.

/// Not a test but the member that the tests below start, if they do.
#[test]
fn the_member_in_a_process_of_its_own() {
    let (Some(folder), Ok(manner)) = (env::var_os(FOLDER), env::var(MANNER)) else { return };
    let mut store = DirStore::open(&PathBuf::from(folder)).unwrap();
    let restored = if manner == "FromBackup" { Restored::FromBackup } else { Restored::Continued };
    let mut machine = match store.get(KEY).unwrap() {
        Some(bytes) => {
            let key = identity("member", VICTIM.0.into());
            Member::restore(plan(), VICTIM, key, &bytes, restored).unwrap()
        }
        None => member(VICTIM),
    };
    while let Some(message) = heard() {
        let mut effects = machine.step(&mut UnwrapErr(SysRng), &message).unwrap();
        if manner == "Careless" {
            effects.sort_by_key(|effect| *effect == MemberEffect::Persist);
        }
        for effect in effects {
            carry_out(&mut store, &machine, effect);
        }
        say(DONE, &[]);
    }
}

fn carry_out(store: &mut DirStore, machine: &Member, effect: MemberEffect) {
    match effect {
        MemberEffect::Persist => {
            point();
            let staged = store.stage(KEY, &machine.snapshot().unwrap()).unwrap();
            point();
            staged.commit().unwrap();
            point();
        }
        MemberEffect::Send(bytes) => {
            point();
            say(SENT, &bytes);
            point();
        }
        // Its time never comes: no clock runs here.
        MemberEffect::Expire { .. } | MemberEffect::Refused(_) => {}
    }
}

/// A moment at which the process can be killed: it goes on when it is told to.
fn point() {
    say(POINT, &[]);
    std::io::stdin().read_exact(&mut [0]).unwrap();
}

fn say(kind: u8, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    std::io::stderr().write_all(&[&[kind], &length[..], bytes].concat()).unwrap();
}

/// The next message, until there are no more.
fn heard() -> Option<Vec<u8>> {
    let mut length = [0; 4];
    std::io::stdin().read_exact(&mut length).ok()?;
    let mut message = vec![0; u32::from_le_bytes(length) as usize];
    std::io::stdin().read_exact(&mut message).ok()?;
    Some(message)
}

// Its host, who kills it.

struct Process {
    child: Child,
    pipe: ChildStderr,
}

impl Process {
    fn start(folder: &Scratch, manner: Manner) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--exact", "killed::the_member_in_a_process_of_its_own", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(MANNER, format!("{manner:?}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let pipe = child.stderr.take().unwrap();
        Self { child, pipe }
    }

    /// What it says next; nothing once it is dead.
    fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut header = [0; 5];
        self.pipe.read_exact(&mut header).ok()?;
        let [kind, length @ ..] = header;
        let length = u64::from(u32::from_le_bytes(length));
        let mut bytes = Vec::new();
        (&mut self.pipe).take(length).read_to_end(&mut bytes).unwrap();
        let known = [POINT, SENT, DONE].contains(&kind) && bytes.len() as u64 == length;
        assert!(known, "it panicked: {}", String::from_utf8_lossy(&[&header[..], &bytes].concat()));
        Some((kind, bytes))
    }

    fn tell(&mut self, bytes: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// SIGKILL, where there are signals.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The member on its machine, and everything that ever left it.
struct Machine {
    folder: Scratch,
    manner: Manner,
    process: Process,
    /// Points until it is killed.
    left: Option<usize>,
    points: usize,
    sent: Vec<Vec<u8>>,
}

impl Machine {
    fn new(manner: Manner, left: Option<usize>) -> Self {
        let folder = Scratch::new();
        let process = Process::start(&folder, manner);
        Self { folder, manner, process, left, points: 0, sent: Vec::new() }
    }

    fn restart(&mut self) {
        self.process.kill();
        while let Some((kind, bytes)) = self.process.next() {
            assert_ne!(kind, SENT, "{} bytes were sent by a dead process", bytes.len());
        }
        self.process = Process::start(&self.folder, self.manner);
    }

    /// Gives it a message. What it answers; `None` if it was killed over it and is back.
    fn hear(&mut self, message: &[u8]) -> Option<Vec<Vec<u8>>> {
        let length = u32::try_from(message.len()).unwrap().to_le_bytes();
        self.process.tell(&[&length[..], message].concat());
        let mut answers = Vec::new();
        loop {
            match self.process.next().expect("it is alive") {
                (POINT, _) if self.left == Some(0) => {
                    self.left = None;
                    self.restart();
                    return None;
                }
                (POINT, _) => {
                    self.left = self.left.map(|left| left - 1);
                    self.points += 1;
                    self.process.tell(&[1]);
                }
                (SENT, bytes) => {
                    self.sent.push(bytes.clone());
                    answers.push(bytes);
                }
                _ => return Some(answers),
            }
        }
    }

    /// Gives it a message until it has answered, as a network does.
    fn hear_in_the_end(&mut self, message: &[u8]) -> Vec<Vec<u8>> {
        loop {
            if let Some(answers) = self.hear(message) {
                return answers;
            }
        }
    }

    /// The most different keys, votes and answers that it sent for one sum.
    fn contradictions(&self) -> [usize; 3] {
        let mut said = [(); 3].map(|()| BTreeMap::<u32, BTreeSet<Vec<u8>>>::new());
        for bytes in &self.sent {
            match MemberAnswer::decode(bytes).unwrap() {
                MemberAnswer::Keys { first, keys, .. } => {
                    for (slot, key) in (first..).zip(keys) {
                        said[0].entry(slot).or_default().insert(key.key.0.to_vec());
                    }
                }
                MemberAnswer::Sum { slot, message, .. } => {
                    let kind = usize::from(Vote::decode(&message).is_ok())
                        + 2 * usize::from(SumShares::decode(&message).is_ok());
                    if kind > 0 {
                        said[kind].entry(slot).or_default().insert(message);
                    }
                }
                MemberAnswer::Opened { .. } | MemberAnswer::Refused { .. } => {}
            }
        }
        said.map(|slots| slots.values().map(BTreeSet::len).max().unwrap_or(0))
    }
}

// Everybody else.

#[derive(Clone, Debug)]
enum Mail {
    From(Peer, Arc<[u8]>),
    To(Peer, Arc<[u8]>),
}

/// The job without its first member.
#[derive(Clone, Debug)]
struct World {
    coordinator: Coordinator,
    start: f32,
    owners: Vec<Participant>,
    members: BTreeMap<MemberId, Member>,
    mail: VecDeque<Mail>,
    now: Timestamp,
    wake: Timestamp,
    /// What was sent to the first member, and to the second.
    tasks: [Vec<Arc<[u8]>>; 2],
    model: Option<Vec<f32>>,
}

impl World {
    fn new(start: f32) -> Self {
        let owner = |id: OwnerId| {
            let machine = Participant::new(plan(), id).unwrap();
            machine.with_identity(identity("owner", id.0))
        };
        let coordinator = Coordinator::new(plan()).unwrap();
        let mut world = Self {
            coordinator: coordinator.with_identity(identity("coordinator", 0)),
            start,
            owners: OwnerId::all(OWNERS).map(owner).collect(),
            members: MemberId::all(MEMBERS).skip(1).map(|id| (id, member(id))).collect(),
            mail: VecDeque::new(),
            now: Timestamp(0),
            wake: Timestamp(0),
            tasks: [Vec::new(), Vec::new()],
            model: None,
        };
        world.coordinate(CoordinatorEvent::Start);
        world
    }

    fn coordinate(&mut self, event: CoordinatorEvent<'_>) {
        for effect in self.coordinator.step(self.now, event).unwrap() {
            match effect {
                CoordinatorEffect::Send { to, message } => {
                    self.mail.push_back(Mail::To(to, message.into_bytes()));
                }
                CoordinatorEffect::Wake { at } => self.wake = at,
                CoordinatorEffect::Summary { .. } => {
                    self.coordinate(CoordinatorEvent::Begin { parameters: vec![self.start; 2] });
                }
                CoordinatorEffect::Finished { parameters } => self.model = Some(parameters),
                CoordinatorEffect::Failed(error) => panic!("{error}"),
                CoordinatorEffect::Persist
                | CoordinatorEffect::Summed(_)
                | CoordinatorEffect::RoundClosed(_) => {}
            }
        }
    }

    /// The next thing that happens; `hear` is the first member.
    fn step(&mut self, hear: &mut dyn FnMut(&[u8]) -> Vec<Vec<u8>>) {
        match self.mail.pop_front() {
            None => {
                self.now = self.now.max(self.wake);
                self.coordinate(CoordinatorEvent::Wake);
            }
            Some(Mail::From(from, bytes)) => {
                self.coordinate(CoordinatorEvent::Message { from, bytes: &bytes });
            }
            Some(Mail::To(Peer::Owner(owner), message)) => self.train(owner, &message),
            Some(Mail::To(to @ Peer::Member(id), message)) => {
                if let Some(tasks) = self.tasks.get_mut(id.index()) {
                    tasks.push(Arc::clone(&message));
                }
                let answers = if id == VICTIM { hear(&message) } else { self.serve(id, &message) };
                self.mail.extend(answers.into_iter().map(|bytes| Mail::From(to, bytes.into())));
            }
        }
    }

    fn serve(&mut self, id: MemberId, message: &[u8]) -> Vec<Vec<u8>> {
        let Some(member) = self.members.get_mut(&id) else { return Vec::new() };
        let sent = |effect| match effect {
            MemberEffect::Send(bytes) => Some(bytes.to_vec()),
            MemberEffect::Persist | MemberEffect::Expire { .. } | MemberEffect::Refused(_) => None,
        };
        let effects = member.step(&mut UnwrapErr(SysRng), message).unwrap();
        effects.into_iter().filter_map(sent).collect()
    }

    fn train(&mut self, id: OwnerId, message: &[u8]) {
        let owner = &mut self.owners[id.index()];
        let rng = &mut UnwrapErr(SysRng);
        let mut effects: VecDeque<_> =
            owner.step(rng, ParticipantEvent::Message(message)).unwrap().into();
        while let Some(effect) = effects.pop_front() {
            match effect {
                ParticipantEffect::Train(task) => {
                    let step = [1.0, 2.0, 6.0][id.index()];
                    let result = LocalResult {
                        delta: vec![step, -step],
                        examples: 10,
                        loss_sum: 1.0,
                        steps: 1,
                        displacement: 1.0,
                    };
                    effects.extend(
                        owner.step(rng, ParticipantEvent::Trained(task.id, result)).unwrap(),
                    );
                }
                ParticipantEffect::Send(bytes) => {
                    self.mail.push_back(Mail::From(Peer::Owner(id), bytes.into_bytes()));
                }
                ParticipantEffect::Summarise
                | ParticipantEffect::Persist
                | ParticipantEffect::Refused(_) => {}
            }
        }
    }

    /// Goes on to the moment at which all owners have sent their masked updates.
    fn contribute(&mut self, machine: &mut Machine) {
        let from_owner = |mail: &&Mail| matches!(mail, Mail::From(Peer::Owner(_), _));
        while self.mail.iter().filter(from_owner).count() < OWNERS as usize {
            // Apart from its keys the coordinator needs nothing of the first member.
            self.step(&mut |message| match MemberTask::decode(message) {
                Ok(MemberTask::Publish { .. }) => machine.hear_in_the_end(message),
                _ => Vec::new(),
            });
        }
    }

    fn finish(&mut self, hear: &mut dyn FnMut(&[u8]) -> Vec<Vec<u8>>) -> Vec<f32> {
        for _ in 0..1000 {
            if let Some(model) = self.model.take() {
                return model;
            }
            self.step(hear);
        }
        panic!("the job hangs");
    }

    /// Everything that the first member is told in the course of the job. What members are asked
    /// once it has been set aside is what the second one is asked.
    fn script(mut self) -> Vec<Arc<[u8]>> {
        self.finish(&mut |_| Vec::new());
        let [mut script, others] = self.tasks;
        let later = |task: &Arc<[u8]>| is_of::<Proposal>(task) || is_of::<Certificate>(task);
        script.retain(|task| !later(task));
        script.extend(others.into_iter().filter(later));
        script
    }

    /// The same without what the last owner sent.
    fn without_one(mut self) -> Self {
        let last = Peer::Owner(OwnerId(OWNERS - 1));
        self.mail.retain(|mail| !matches!(mail, Mail::From(from, _) if *from == last));
        self
    }
}

fn is_of<T: Canonical>(task: &[u8]) -> bool {
    let Ok(MemberTask::Sum { message, .. }) = MemberTask::decode(task) else { return false };
    peek_tag(&message) == Some(tag_of(T::DOMAIN))
}

type Script = Vec<Arc<[u8]>>;

/// One sum, and two others that a coordinator could open in its place: over fewer owners, and of
/// another model.
fn scripts(machine: &mut Machine) -> (Script, Script) {
    let mut world = World::new(0.0);
    world.contribute(machine);
    let mut others = world.clone().without_one().script();
    let mut other = World::new(1.0);
    other.contribute(machine);
    others.extend(other.script());
    (world.script(), others)
}

/// A malicious coordinator: whenever the member has been killed, it is shown other sums than the
/// one it was at work on, and then that one. Returns at how many points it can be killed.
fn seduce(machine: &mut Machine, asks_for_votes: bool) -> usize {
    let (mut script, others) = scripts(machine);
    if !asks_for_votes {
        script.retain(|task| !is_of::<Proposal>(task));
    }
    for message in &script {
        if machine.hear(message).is_none() {
            others.iter().chain(&script).for_each(|message| drop(machine.hear(message)));
        }
    }
    let points = machine.points;
    machine.left = None;
    machine.restart();
    others.iter().chain(&script).for_each(|message| drop(machine.hear(message)));
    points
}

/// What the member says, at most, when it is killed at every `step`-th point.
fn seduced(manner: Manner, step: usize) -> [usize; 3] {
    let mut most = [0; 3];
    for asks_for_votes in [true, false] {
        let points = seduce(&mut Machine::new(manner, None), asks_for_votes);
        // Without a vote only the last message is another.
        let first = if asks_for_votes { 0 } else { points - POINTS };
        for left in (first..points).step_by(step) {
            let mut machine = Machine::new(manner, Some(left));
            seduce(&mut machine, asks_for_votes);
            let said = machine.contradictions();
            let one = said.iter().all(|&count| count <= 1);
            assert!(manner == Manner::Careless || one, "killed at {left}: {said:?}");
            for (most, said) in most.iter_mut().zip(said) {
                *most = said.max(*most);
            }
        }
    }
    most
}

#[test]
fn a_member_killed_at_any_point_says_one_thing_for_each_sum() {
    assert_eq!(seduced(Manner::Honest, 1), [1; 3]);
}

#[test]
fn a_member_that_sends_before_it_writes_is_caught() {
    // Three points in a row show it.
    let said = seduced(Manner::Careless, 3);
    assert!(said.iter().all(|&count| count > 1), "{said:?}");
}

/// A job that cannot end without the member: another one is silent.
fn job(machine: &mut Machine) -> Vec<f32> {
    let mut world = World::new(0.0);
    world.contribute(machine);
    world.members.pop_last();
    // What the member was told until now, it was not told.
    let early: Vec<_> = world.tasks[0].drain(1..).collect();
    for message in &early {
        machine.hear_in_the_end(message);
    }
    world.finish(&mut |message| machine.hear_in_the_end(message))
}

#[test]
fn a_job_goes_on_with_a_member_killed_at_any_point() {
    let mut machine = Machine::new(Manner::Honest, None);
    let model = job(&mut machine);
    assert!((model[0] - 3.0).abs() < 1e-3 && (model[1] + 3.0).abs() < 1e-3, "{model:?}");
    let points = machine.points;
    // Keys, the sum, three packets, the vote, the answer.
    assert!(points >= 7 * POINTS, "{points} points");
    for left in 0..points {
        let mut machine = Machine::new(Manner::Honest, Some(left));
        assert_eq!(job(&mut machine), model, "killed at {left}");
        assert_eq!(machine.left, None);
        assert_eq!(machine.contradictions(), [1; 3]);
    }
}

/// A member that has voted, and its file from before.
fn restored_from_a_backup(manner: Manner) -> Machine {
    let mut machine = Machine::new(Manner::Honest, None);
    let (script, others) = scripts(&mut machine);
    let file = machine.folder.path().join(KEY);
    let votes = script.iter().position(|task| is_of::<Proposal>(task)).unwrap();
    let (before, after) = script.split_at(votes);
    for message in before {
        machine.hear(message);
    }
    let backup = fs::read(&file).unwrap();
    after.iter().take(1).for_each(|message| drop(machine.hear(message)));
    assert_eq!(machine.contradictions(), [1, 1, 0]);
    machine.process.kill();
    fs::write(&file, backup).unwrap();
    machine.manner = manner;
    machine.restart();
    machine.sent.retain(|bytes| {
        matches!(MemberAnswer::decode(bytes), Ok(MemberAnswer::Sum { message, .. })
            if Vote::decode(&message).is_ok())
    });
    others.iter().chain(&script).for_each(|message| drop(machine.hear(message)));
    machine
}

#[test]
fn a_member_restored_from_a_backup_sits_out() {
    let machine = restored_from_a_backup(Manner::FromBackup);
    assert_eq!(machine.contradictions(), [0, 1, 0], "only the vote from before");
    // The twin takes the backup for its last state.
    let careless = restored_from_a_backup(Manner::Honest);
    assert!(careless.contradictions()[1] > 1, "it votes a second time");
}
