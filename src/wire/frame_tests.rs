//! Tests of the frame decoder: splits, limits, garbage.

use super::*;
use proptest::prelude::*;

fn raw(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    out.extend_from_slice(body);
    out
}

fn feed(decoder: &mut FrameDecoder, bytes: &[u8]) {
    decoder.room().extend_from_slice(bytes);
}

fn frames_of(bodies: &[(u8, Vec<u8>)]) -> Vec<u8> {
    bodies.iter().flat_map(|(tag, body)| raw(*tag, body)).collect()
}

fn any_bodies() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..8)
}

proptest! {
    // Property: where the stream is cut into reads changes nothing.
    #[test]
    fn the_same_frames_wherever_it_is_split(bodies in any_bodies(), cuts in proptest::collection::vec(1usize..9, 0..99)) {
        let stream = frames_of(&bodies);
        let mut decoder = FrameDecoder::new(Limits::gather(64), BytesMut::new());
        let (mut rest, mut got) = (&stream[..], Vec::new());
        let mut cuts = cuts.into_iter().chain(std::iter::repeat(7));
        while !rest.is_empty() {
            let (now, later) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            feed(&mut decoder, now);
            rest = later;
            while let Some(frame) = decoder.frame().unwrap() {
                got.push((frame.tag(), frame.body().to_vec(), frame.raw().to_vec()));
            }
        }
        prop_assert!(decoder.between_frames());
        let want: Vec<_> = bodies.iter().map(|(t, b)| (*t, b.clone(), raw(*t, b))).collect();
        prop_assert_eq!(got, want);
    }

    // Property: pieces joined are the stream, and only bodies over the limit come in pieces.
    #[test]
    fn pieces_join_to_the_stream(bodies in any_bodies(), gather in 0u32..40, step in 1usize..9) {
        let stream = frames_of(&bodies);
        let mut decoder = FrameDecoder::new(Limits::gather(gather), BytesMut::new());
        let (mut joined, mut open) = (Vec::new(), 0u32);
        for now in stream.chunks(step) {
            feed(&mut decoder, now);
            while let Some(piece) = decoder.piece().unwrap() {
                match piece {
                    Piece::Whole(frame) => {
                        prop_assert_eq!(open, 0);
                        prop_assert!(frame.body().len() <= gather as usize || frame.body().is_empty());
                        joined.extend_from_slice(&frame.raw());
                    }
                    Piece::Start { header, raw } => {
                        prop_assert_eq!(open, 0);
                        prop_assert!(header.body > gather);
                        open = header.body;
                        joined.extend_from_slice(&raw);
                    }
                    Piece::Chunk { bytes, last } => {
                        prop_assert!(!bytes.is_empty());
                        open -= bytes.len() as u32;
                        prop_assert_eq!(last, open == 0);
                        joined.extend_from_slice(&bytes);
                    }
                }
            }
        }
        prop_assert_eq!(joined, stream);
        prop_assert!(decoder.between_frames());
    }

    // Property: garbage neither panics nor makes the buffer grow beyond what arrived.
    #[test]
    fn garbage_is_bounded(bytes in proptest::collection::vec(any::<u8>(), 0..300), pieces in any::<bool>()) {
        let mut decoder = FrameDecoder::new(Limits { gather: 1 << 20, longest: 1 << 24 }, BytesMut::new());
        for now in bytes.chunks(11) {
            feed(&mut decoder, now);
            loop {
                let more = if pieces { decoder.piece().map(|p| p.is_some()) } else { decoder.frame().map(|f| f.is_some()) };
                match more {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(_) => return Ok(()),
                }
            }
            prop_assert!(decoder.buf.capacity() <= 2 * READ_ROOM);
        }
    }
}

#[test]
fn a_gigabyte_of_length_allocates_nothing() {
    let mut decoder = FrameDecoder::new(Limits::only(1 << 20), BytesMut::new());
    feed(&mut decoder, b"Q\x40\0\0\0");
    let before = decoder.buf.capacity();
    let error = FrameError::TooLong { tag: b'Q', body: (1 << 30) - 4, limit: 1 << 20 };
    assert_eq!(decoder.frame(), Err(error));
    assert_eq!(decoder.piece(), Err(error));
    assert_eq!(decoder.buf.capacity(), before);
}

#[test]
fn the_limit_is_inclusive() {
    for (body, ok) in [(9usize, true), (10, true), (11, false)] {
        let mut decoder = FrameDecoder::new(Limits::only(10), BytesMut::new());
        feed(&mut decoder, &raw(b'Q', &vec![0; body]));
        assert_eq!(decoder.frame().is_ok(), ok, "{body}");
    }
}

#[test]
fn a_length_below_four_is_an_error() {
    for length in 0..4u8 {
        let mut decoder = FrameDecoder::new(Limits::gather(10), BytesMut::new());
        feed(&mut decoder, &[b'S', 0, 0, 0, length]);
        assert_eq!(decoder.frame(), Err(FrameError::BadLength { tag: b'S', length: length.into() }));
    }
}

#[test]
fn a_frame_shares_the_read_buffer() {
    let mut decoder = FrameDecoder::new(Limits::gather(100), BytesMut::new());
    feed(&mut decoder, &raw(b'Q', b"select 1\0"));
    let at = decoder.buffered().as_ptr();
    let frame = decoder.frame().unwrap().unwrap();
    assert_eq!(frame.raw().as_ptr(), at);
    assert_eq!(Frame::from_raw(frame.raw()), Some(frame.clone()));
    assert_eq!(Frame::from_raw(frame.raw().slice(1..)), None);
}

proptest! {
    // Property: rows passed on in stretches and the other frames taken whole are the stream, whatever
    // the reads were, and nothing but a frame over LONG is passed on in parts.
    #[test]
    fn stretches_and_frames_join_to_the_stream(
        lengths in proptest::collection::vec((any::<bool>(), prop_oneof![0usize..50, LONG - 9..LONG + 9, LONG * 3..LONG * 3 + 9]), 1..9),
        step in prop_oneof![1usize..9, 1000usize..LONG * 2],
    ) {
        // One byte at a time only for short streams: the property does not depend on it.
        let step = if lengths.iter().any(|(_, n)| *n > 50) { step.max(1000) } else { step };
        let bodies: Vec<(u8, Vec<u8>)> =
            lengths.iter().map(|(row, n)| (if *row { b'D' } else { b'C' }, vec![7; *n])).collect();
        let stream = frames_of(&bodies);
        let mut decoder = FrameDecoder::new(Limits::only(LONG as u32 * 4), BytesMut::new());
        let (mut joined, mut begun, mut body) = (Vec::new(), 0, 0);
        for now in stream.chunks(step) {
            decoder.feed(now);
            loop {
                if decoder.next_tag() == Some(b'D') {
                    let Some(stretch) = decoder.stretch(b'D').unwrap() else { break };
                    let whole = matches!(stretch, Stretch::Whole { .. });
                    prop_assert!(whole || lengths.iter().any(|(_, n)| *n > LONG - HEADER));
                    prop_assert_eq!(decoder.inside_frame(), matches!(stretch, Stretch::Begin { .. } | Stretch::Rest { last: false, .. }));
                    begun += stretch.begun();
                    body += stretch.body();
                    joined.extend_from_slice(stretch.bytes());
                } else {
                    let Some(frame) = decoder.frame().unwrap() else { break };
                    joined.extend_from_slice(&frame.raw());
                }
            }
        }
        prop_assert!(decoder.between_frames());
        prop_assert_eq!(joined, stream);
        prop_assert_eq!(begun, lengths.iter().filter(|(row, _)| *row).count() as u64);
        prop_assert_eq!(body, lengths.iter().filter(|(row, _)| *row).map(|(_, n)| *n as u64).sum::<u64>());
    }
}

#[test]
fn a_row_over_the_limit_is_an_error_before_it_is_passed_on() {
    let mut decoder = FrameDecoder::new(Limits::only(100_000), BytesMut::new());
    decoder.feed(&raw(b'D', &[0; 9]));
    decoder.feed(&[b'D', 0, 2, 0, 0]);
    assert_eq!(decoder.stretch(b'D').unwrap().unwrap().begun(), 1);
    assert_eq!(
        decoder.stretch(b'D').unwrap_err(),
        FrameError::TooLong { tag: b'D', body: 0x20000 - 4, limit: 100_000 }
    );
}

#[test]
fn rows_before_what_is_no_frame_go_first_and_a_row_over_the_limit_never_goes() {
    let mut decoder = FrameDecoder::new(Limits::only(100), BytesMut::new());
    decoder.feed(&raw(b'D', &[0; 9]));
    decoder.feed(&[b'D', 0, 0, 0, 3]);
    assert_eq!(decoder.stretch(b'D').unwrap().unwrap().begun(), 1);
    assert_eq!(decoder.stretch(b'D').unwrap_err(), FrameError::BadLength { tag: b'D', length: 3 });
    // Whole in the buffer or not.
    let mut decoder = FrameDecoder::new(Limits::only(100), BytesMut::new());
    decoder.feed(&raw(b'D', &[0; 101]));
    let error = FrameError::TooLong { tag: b'D', body: 101, limit: 100 };
    assert_eq!(decoder.stretch(b'D').unwrap_err(), error);
}
