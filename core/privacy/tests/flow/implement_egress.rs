use nexus_privacy::flow::*;

struct Mine(Label);

impl Egress for Mine {
    fn label(&self) -> &Label {
        &self.0
    }
}

fn main() {}
