use std::collections::BTreeSet;

use roxmltree::{Document, Node, ParsingOptions};

use super::*;
use crate::summary::{CommitteeRound, Confusion, example};

const EXTRA: Extra<'static> = Extra {
    command: "nexus run --seed 7",
    job_file: Some("[job]\nname = \"digits\"\n\n[model]\n\tkind = \"mlp\"\n"),
    finished: Some("2026-01-02 03:04 UTC"),
    machine: Some("x86-64, 2 cores"),
};

/// 200 owners over 500 rounds, every tenth of which misses an update of most owners.
fn large() -> Summary {
    let names: Vec<String> =
        (0..200).map(|site| format!("a clinic with a long name {site}")).collect();
    let mut summary = example::quiet(&names, 500);
    for round in &mut summary.rounds {
        let number = round.round;
        let (gone, there) =
            round.participants.iter().partition(|owner| (*owner * 7 + number * 13) % 10 == 0);
        round.participants = there;
        round.dropped = Vec::<u32>::into_iter(gone)
            .map(|owner| crate::summary::Dropped {
                owner,
                reason: format!("no answer within {} s", number % 3 + 1),
                cause: None,
            })
            .collect();
        if number % 17 == 0 {
            round.train_loss = None;
        }
    }
    summary
}

fn empty() -> Summary {
    let mut summary = example::diverged();
    summary.rounds.clear();
    summary.data.owners.clear();
    summary
}

fn many_classes() -> Summary {
    let mut summary = example::digits();
    let counts = (0..90).map(|truth| (0..90).map(|taken| (truth * taken) % 7).collect()).collect();
    let classes = (0..90).map(|class| format!("class {class}")).collect();
    summary.metrics.confusion = Some(Confusion { classes, counts });
    summary
}

fn all() -> Vec<Summary> {
    vec![
        example::digits(),
        example::masked(),
        example::pairwise(),
        example::private(),
        example::regression(),
        example::diverged(),
        example::hostile(),
        example::quiet(&["only".to_owned()], 1),
        large(),
        empty(),
        many_classes(),
    ]
}

fn check(summary: &Summary, look: impl Fn(&Document<'_>)) {
    let text = html(summary, &EXTRA);
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    look(&Document::parse_with_options(&text, options).expect("well-formed"));
}

fn elements<'a, 'd>(document: &'a Document<'d>) -> impl Iterator<Item = Node<'a, 'd>> {
    document.descendants().filter(Node::is_element)
}

fn words(node: Node<'_, '_>) -> String {
    node.descendants().filter_map(|it| if it.is_text() { it.text() } else { None }).collect()
}

#[test]
fn nothing_runs_and_nothing_is_fetched() {
    const ATTRIBUTES: &str = "aria-hidden aria-label aria-labelledby charset class content cx cy \
        dx dy height href http-equiv id lang name points preserveAspectRatio r role scope tabindex \
        viewBox width x x1 x2 y y1 y2";
    const ELEMENTS: &str = "a b body caption circle dd desc details div dl dt figure h1 h2 h3 head \
        header html li line main meta p polyline pre rect style summary svg table tbody td text th \
        thead title tr ul";
    let (names, tags): (BTreeSet<_>, BTreeSet<_>) =
        (ATTRIBUTES.split_whitespace().collect(), ELEMENTS.split_whitespace().collect());
    for summary in all() {
        check(&summary, |document| {
            for node in elements(document) {
                assert!(tags.contains(node.tag_name().name()), "{node:?}");
                for attribute in node.attributes() {
                    assert!(names.contains(attribute.name()), "{attribute:?}");
                    assert!(attribute.name() != "href" || attribute.value().starts_with('#'));
                }
            }
        });
    }
    let style = include_str!("style.css");
    assert!(["url(", "@import", "<", "&"].iter().all(|it| !style.contains(it)));
}

#[test]
fn hostile_text_stays_text() {
    let page = html(&example::hostile(), &EXTRA);
    assert!(!page.contains("<script") && !page.contains("<title><"));
    assert!(page.chars().all(|c| c == '\n' || !c.is_control()));
    check(&example::hostile(), |document| {
        let heading = elements(document).find(|node| node.has_tag_name("h1")).unwrap();
        assert!(words(heading).starts_with("</title><script>alert(1)</script>\"' onload='x' &"));
    });
}

#[test]
fn a_policy_forbids_what_the_page_does_not_need() {
    check(&example::digits(), |document| {
        let policy = elements(document)
            .find(|node| node.attribute("http-equiv") == Some("Content-Security-Policy"))
            .and_then(|node| node.attribute("content"));
        assert!(policy.unwrap().starts_with("default-src 'none'; style-src"));
    });
}

#[test]
fn headings_are_in_order_and_ids_are_unique() {
    for summary in all() {
        check(&summary, |document| {
            let levels: Vec<u32> = elements(document)
                .filter_map(|node| node.tag_name().name().strip_prefix('h')?.parse().ok())
                .collect();
            assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1);
            assert!(
                levels[0] == 1 && levels.windows(2).all(|pair| pair[1] <= pair[0] + 1),
                "{levels:?}"
            );
            let ids: Vec<&str> =
                elements(document).filter_map(|node| node.attribute("id")).collect();
            assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
            for node in elements(document) {
                for id in node.attribute("aria-labelledby").unwrap_or_default().split_whitespace() {
                    assert!(ids.contains(&id), "{id}");
                }
            }
        });
    }
}

#[test]
fn every_plot_has_words() {
    for summary in all() {
        check(&summary, |document| {
            for plot in elements(document).filter(|node| node.attribute("role") == Some("img")) {
                let named = plot.attribute("aria-labelledby").is_some()
                    || plot.attribute("aria-label").is_some_and(|label| !label.is_empty());
                assert!(named, "{plot:?}");
            }
        });
    }
}

#[test]
fn plots_stay_in_their_frames() {
    let percent = |node: Node<'_, '_>, name| -> f64 {
        let text: &str = node.attribute(name).unwrap_or("0%");
        text.trim_end_matches('%').parse().expect("a number")
    };
    for summary in all() {
        check(&summary, |document| {
            for node in elements(document).filter(|node| node.has_tag_name("rect")) {
                let across = percent(node, "x") + percent(node, "width");
                let along = percent(node, "y") + percent(node, "height");
                let inside = |it: f64| (0.0..=100.01).contains(&it);
                assert!(inside(across) && inside(along), "{node:?}");
                assert!(percent(node, "x") >= 0.0 && percent(node, "y") >= 0.0, "{node:?}");
            }
            for node in elements(document).filter(|node| node.has_tag_name("polyline")) {
                for number in
                    node.attribute("points").unwrap().split([',', ' ']).filter(|it| !it.is_empty())
                {
                    assert!((0.0..=100.0).contains(&number.parse::<f64>().unwrap()), "{node:?}");
                }
            }
        });
    }
}

#[test]
fn the_page_says_what_the_run_was() {
    check(&example::digits(), |document| {
        let text = words(document.root_element()).replace('\u{a0}', " ");
        for needle in [
            "95.8 % of 360 test rows are classified right.",
            "no answer within 30 s",
            "crash",
            "simulated on this machine",
            "The coordinator sees each owner's update",
            "nexus run --seed 7",
            "site-3 holds only 5 of the 10 classes",
            "47 of 50",
        ] {
            assert!(text.contains(needle), "{needle}");
        }
    });
}

#[test]
fn secure_sums_have_a_section_and_misbehaving_members_a_table() {
    check(&example::masked(), |document| {
        let text = words(document.root_element()).replace('\u{a0}', " ");
        for needle in [
            "Secure sums",
            "4 members, of whom 3 must answer and any 2 learn nothing",
            "kept in 5 files",
            "simulated committee",
            "The committee by round",
            "member-1, member-3",
        ] {
            assert!(text.contains(needle), "{needle}");
        }
        assert!(!text.contains("updates in clear"));
    });
    check(&example::pairwise(), |document| {
        let text = words(document.root_element());
        assert!(text.contains("Secure sums") && !text.contains("The committee by round"));
    });
    check(&example::digits(), |document| {
        let text = words(document.root_element());
        assert!(!text.contains("Secure sums") && text.contains("updates in clear"));
    });
}

#[test]
fn no_texts_and_numbers_make_the_page_grow_without_bound() {
    let names: Vec<String> = (0..1500).map(|site| format!("{site}{}", "x".repeat(500))).collect();
    let mut summary = example::quiet(&names, 700);
    summary.secure_sum = example::masked().secure_sum;
    for round in &mut summary.rounds {
        let everyone: Vec<u16> = (0..100).collect();
        round.committee = Some(CommitteeRound { disputed: everyone.clone(), silent: everyone });
        round.dropped = (0..round.round % 90)
            .map(|owner| crate::summary::Dropped {
                owner,
                reason: format!("{owner}{}", "y".repeat(1000)),
                cause: None,
            })
            .collect();
        round.participants.retain(|owner| *owner >= round.round % 90);
    }
    let page = html(&summary, &EXTRA);
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
}

#[test]
fn a_large_run_gives_a_page_that_opens() {
    let page = html(&large(), &EXTRA);
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    assert!(page.contains("The 40 owners that missed most, of 200."));
    assert!(page.contains("Each column is 9 rounds"));
}
