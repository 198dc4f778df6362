//! What a job may ask for, checked before any data is read.

use std::path::PathBuf;

use nexus_types::limits::{MAX_OWNERS, MAX_ROUNDS};

use super::{JobFile, JobProblem, ModelKind, OptimiserName, TrainingMode};
use nexus_learning::Schedule;
use nexus_learning::split::Split;

impl JobFile {
    /// Checks every value against its limits.
    ///
    /// # Errors
    /// [`JobProblem`] for the first value outside them.
    pub(super) fn check(&self) -> Result<(), JobProblem> {
        self.check_identity()?;
        self.check_source()?;
        self.check_split()?;
        self.check_model()?;
        self.check_training()?;
        self.check_mode()?;
        self.check_aggregation()?;
        self.check_privacy()?;
        self.check_audit()
    }

    pub(super) fn refuse(&self, key: &[&str], message: impl AsRef<str>) -> Result<(), JobProblem> {
        Err(self.problem(key, message.as_ref(), None))
    }

    fn check_audit(&self) -> Result<(), JobProblem> {
        let audit = &self.job.audit;
        for (key, value) in [("auc", audit.auc), ("rebuilt", audit.rebuilt)] {
            if let Some(value) = value.filter(|value| !(0.0..=1.0).contains(value)) {
                let message = format!("{key} is {value}, it must be from 0 to 1");
                return self.refuse(&["audit", key], message);
            }
        }
        Ok(())
    }

    fn check_identity(&self) -> Result<(), JobProblem> {
        let name = &self.job.job.name;
        let allowed = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if (1..=64).contains(&name.len()) && name.bytes().all(allowed) {
            return Ok(());
        }
        let message = format!("the name `{name}` is not 1 to 64 characters of a-z, 0-9, `-`, `_`");
        self.refuse(&["job", "name"], message)
    }

    fn check_source(&self) -> Result<(), JobProblem> {
        let data = &self.job.data;
        match (data.files.is_empty(), data.builtin) {
            (true, None) => {
                let help = "set `files = [\"a.csv\", \"b.csv\"]` or `builtin = \"digits\"`";
                return Err(self.problem(&["data"], "no data", Some(help.into())));
            }
            (false, Some(_)) => {
                return self
                    .refuse(&["data", "builtin"], "`files` and `builtin` exclude each other");
            }
            (false, None) if data.label.is_none() => {
                let help = "set `label` to the name of the column to be predicted";
                return Err(self.problem(&["data"], "no label column", Some(help.into())));
            }
            (true, Some(_)) | (false, None) => {}
        }
        let twice = |(place, file): (usize, &PathBuf)| data.files[..place].contains(file);
        if data.files.iter().enumerate().any(twice) {
            return self.refuse(&["data", "files"], "a file is there twice");
        }
        if data.builtin.is_some() && data.label.is_some() {
            return self.refuse(&["data", "label"], "a built-in data set has its own label");
        }
        if let Some(fraction) = data.test_fraction
            && !(0.0..=0.9).contains(&fraction)
        {
            let message = format!("test_fraction is {fraction}, it must be from 0 to 0.9");
            return self.refuse(&["data", "test_fraction"], message);
        }
        Ok(())
    }

    fn check_split(&self) -> Result<(), JobProblem> {
        let data = &self.job.data;
        let several = data.files.len() > 1;
        let split = data.split.as_ref().map(|choice| &choice.0);
        if several && (data.owners.is_some() || split.is_some()) {
            let key = if split.is_some() { "split" } else { "owners" };
            return self.refuse(
                &["data", key],
                format!(
                    "`{key}` is for a single data set; every one of several files is one owner's"
                ),
            );
        }
        match split {
            Some(Split::Dirichlet(alpha)) if !(*alpha > 0.0 && *alpha <= 1e6) => {
                return self.refuse(
                    &["data", "split"],
                    format!("dirichlet is {alpha}, it must be above 0 and at most 1e6"),
                );
            }
            Some(Split::ByLabel(0)) => {
                return self.refuse(&["data", "split"], "by_label must be at least 1");
            }
            Some(Split::ByColumn(_)) if data.owners.is_some() => {
                return self.refuse(
                    &["data", "owners"],
                    "`by_column` makes one owner of every value: leave `owners` out",
                );
            }
            _ => {}
        }
        let owners = data.owners.unwrap_or(1);
        if owners == 0 || owners > MAX_OWNERS || data.files.len() > MAX_OWNERS as usize {
            let message = format!(
                "{} owners, from 1 to {MAX_OWNERS} are possible",
                owners.max(u32::try_from(data.files.len()).unwrap_or(u32::MAX))
            );
            return self.refuse(&["data", "owners"], message);
        }
        Ok(())
    }

    fn check_model(&self) -> Result<(), JobProblem> {
        let model = &self.job.model;
        if model.spec.is_some() && model.kind.is_some() {
            return self.refuse(&["model", "kind"], "`kind` and `spec` exclude each other");
        }
        let hidden = matches!(model.kind(), ModelKind::Mlp | ModelKind::Cnn);
        if model.activation.is_some() && (model.spec.is_some() || !hidden) {
            return self.refuse(&["model", "activation"], "`activation` is for `mlp` and `cnn`");
        }
        if model.rescale.is_some() && model.spec.is_some() {
            return self.refuse(&["model", "rescale"], "`rescale` is for a ready model");
        }
        let bad = model.hidden.iter().find(|&&width| width == 0 || width > 1 << 20);
        if let (Some(width), ModelKind::Mlp) = (bad, model.kind()) {
            return self.refuse(
                &["model", "hidden"],
                format!("a hidden layer of width {width}, from 1 to {} are possible", 1 << 20),
            );
        }
        Ok(())
    }

    /// What encrypted training has no form for.
    fn check_mode(&self) -> Result<(), JobProblem> {
        let (training, model) = (&self.job.training, &self.job.model);
        if training.mode == TrainingMode::Local {
            let set = training.sigmoid_range.is_some();
            let only = "`sigmoid_range` is for `mode = \"encrypted\"`";
            return if set { self.refuse(&["training", "sigmoid_range"], only) } else { Ok(()) };
        }
        let strategy = training.strategy.0;
        let problems: [(bool, &[&str], &str); 6] = [
            (
                model.kind != Some(ModelKind::Logistic),
                &["model", "kind"],
                "a `logistic` model is what can be trained on encrypted rows",
            ),
            (
                self.job.privacy.is_some(),
                &["privacy"],
                "the gradient of each row is clipped before noise is added, and nobody sees one here",
            ),
            (
                training.optimiser != OptimiserName::Sgd,
                &["training", "optimiser"],
                "`sgd`, with Nesterov's momentum, is what encrypted training has",
            ),
            (
                strategy.has_control() || strategy.proximal() > 0.0,
                &["training", "strategy"],
                "this strategy changes each gradient, which encrypted training cannot",
            ),
            (
                training.schedule.0 != Schedule::Constant,
                &["training", "schedule"],
                "encrypted training has one learning rate",
            ),
            (
                training.local_epochs.is_some(),
                &["training", "local_epochs"],
                "each step of encrypted training is over all rows: set `local_steps`",
            ),
        ];
        let found = problems.into_iter().find(|(wrong, ..)| *wrong);
        found.map_or(Ok(()), |(_, key, message)| self.refuse(key, message))
    }

    fn check_training(&self) -> Result<(), JobProblem> {
        let t = &self.job.training;
        if t.local_epochs.is_some() && t.local_steps.is_some() {
            return self.refuse(
                &["training", "local_steps"],
                "`local_epochs` and `local_steps` exclude each other",
            );
        }
        if t.optimiser == OptimiserName::Adam && t.strategy.0.has_control() {
            let message =
                "`scaffold` corrects the steps of `sgd`; with `adam` they have no meaning";
            return self.refuse(&["training", "optimiser"], message);
        }
        let counts = [
            ("rounds", u64::from(t.rounds), u64::from(MAX_ROUNDS)),
            ("local_epochs", u64::from(t.local_epochs.unwrap_or(1)), 1_000_000),
            ("local_steps", u64::from(t.local_steps.unwrap_or(1)), 1_000_000_000),
            ("batch_size", u64::from(t.batch_size), 1 << 20),
            ("attempts", u64::from(t.attempts), 1000),
            ("quorum", u64::from(t.quorum.unwrap_or(1)), u64::from(MAX_OWNERS)),
        ];
        for (key, value, most) in counts {
            if value == 0 || value > most {
                return self.refuse(
                    &["training", key],
                    format!("{key} is {value}, it must be from 1 to {most}"),
                );
            }
        }
        let ranges = [
            ("learning_rate", t.learning_rate, 1e-9, 1e3),
            ("momentum", t.momentum, 0.0, 0.999),
            ("weight_decay", t.weight_decay, 0.0, 1.0),
            ("fraction", t.fraction, 1e-6, 1.0),
            ("deadline_s", t.deadline_s, 0.001, 31_536_000.0),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return self.refuse(
                    &["training", key],
                    format!("{key} is {value}, it must be from {least} to {most}"),
                );
            }
        }
        Ok(())
    }
}
