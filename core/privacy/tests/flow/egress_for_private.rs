use nexus_privacy::flow::*;

impl<T> Egress for Private<T> {
    fn label(&self) -> &Label {
        Private::label(self)
    }
}

fn main() {}
