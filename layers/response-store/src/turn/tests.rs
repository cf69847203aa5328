use super::{testing::TestTurn, *};

fn body() -> Bytes {
    let owner = Owner::anonymous();
    let output = "x".repeat(300);
    let turn = TestTurn {
        owner: &owner,
        previous: None,
        input: &["a", "é"],
        output: &[&output],
        tools: Some("[]"),
        item: Some("msg_1"),
    };
    turn.record().body
}

#[test]
fn a_turn_is_read_as_it_was_written() {
    let turn = Turn::decode(&body()).unwrap();
    assert_eq!((turn.input().len(), turn.output().len(), turn.pending().len()), (2, 1, 0));
    assert_eq!(turn.replayed().count(), 3);
    assert_eq!(turn.items_backwards().next(), Some(&turn.output()[0].text));
    assert_eq!(turn.items_backwards().count(), 3);
    assert_eq!(turn.item_keys(&Owner::anonymous()), [ItemKey::new(&Owner::anonymous(), "msg_1")]);
}

#[test]
fn no_damage_goes_unseen() {
    let body = body();
    for at in 0..body.len() {
        assert!(Turn::decode(&body.slice(..at)).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut damaged = body.to_vec();
            damaged[at] ^= 1 << bit;
            assert!(Turn::decode(&damaged.into()).is_err(), "bit {bit} of byte {at}");
        }
    }
    assert!(Turn::decode(&[&body[..], b"\0"].concat().into()).is_err());
}

/// What was shown stays what it was, and is copied only if it is still held when more is written.
#[test]
fn what_was_shown_is_the_beginning_of_what_is_written() {
    for is_held in [false, true] {
        let mut writer = Writer::with_capacity(4096);
        writer.section(Section::Input, b"first");
        let (place, shown) = writer.written();
        let (address, shown_text) = (shown.as_ptr(), shown.to_vec());
        let held = Some(shown).filter(|_| is_held);
        writer.section(Section::Output, b"second");
        let body = writer.finish();
        assert_eq!(body[place..place + shown_text.len()], shown_text);
        assert_eq!(body[place..].as_ptr() == address, !is_held, "in the same memory");
        assert!(held.is_none_or(|held| held == shown_text));
        let sections: Vec<_> = Reader::new(&body).unwrap().map(|section| section.unwrap().1).collect();
        assert_eq!(sections, [&b"first"[..], b"second"]);
    }
}

#[test]
fn an_unknown_version_is_not_guessed_at() {
    let mut newer = body().to_vec();
    newer[4] = 2;
    let checksum = crc32fast::hash(&newer[4..]);
    newer[..4].copy_from_slice(&checksum.to_le_bytes());
    let error = Turn::decode(&newer.into()).unwrap_err();
    assert!(error.to_string().contains("unknown format 2"), "{error}");
}
