//! The frame decoder: whatever the cut, the same frames; never more in its buffer than it may hold.

use bytes::BytesMut;

use super::{choices, pieces};
use crate::wire::frame::{FrameDecoder, FrameError, HEADER, LONG, Limits, Piece, Stretch};

/// What a stream of bytes is: frames as tag and body, and the error they end with, if any.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    frames: Vec<(u8, Vec<u8>)>,
    error: Option<FrameError>,
    /// Bytes after the last whole frame; with an error, unused.
    rest: usize,
}

/// The definition, over all of the bytes at once.
fn reference(data: &[u8], limit: u32) -> Read {
    let mut read = Read::default();
    let mut at = data;
    loop {
        read.rest = at.len();
        let Some((&[tag, a, b, c, d], after)) = at.split_first_chunk::<HEADER>() else { return read };
        let length = u32::from_be_bytes([a, b, c, d]);
        let Some(body) = length.checked_sub(4) else {
            read.error = Some(FrameError::BadLength { tag, length });
            return read;
        };
        if body > limit {
            read.error = Some(FrameError::TooLong { tag, body, limit });
            return read;
        }
        let Some((body, next)) = after.split_at_checked(body as usize) else { return read };
        read.frames.push((tag, body.to_vec()));
        at = next;
    }
}

/// Bytes: choices (limits, cut, form), then the stream, or in the second form a list of frames as tag,
/// length in units of 16 bytes and filling, so that long ones take few bytes here.
pub fn frames(data: &[u8]) {
    let ([gather, longest, small, large, form], rest) = choices::<5>(data);
    let limit = |choice: u8| match choice % 4 {
        0 => u32::from(choice),
        1 => 1 << (choice / 8),
        2 => 64 * 1024 + u32::from(choice),
        _ => 1 << 30,
    };
    let (gather, longest) = (limit(gather), limit(longest));
    let stream = if form % 2 == 0 { rest.to_vec() } else { long(rest) };
    // Pieces of two sizes by turns, or of one.
    let cut = [usize::from(small), if large == 0 { usize::from(small) } else { usize::from(large) * 64 }];
    // A long stream in small pieces would only take long.
    let cut = if form % 2 == 0 { cut } else { cut.map(|n| if n == 0 { n } else { n.max(1024) }) };
    let largest = cut.iter().map(|n| if *n == 0 { stream.len() } else { *n }).max().unwrap_or(0);

    let limits = Limits { gather, longest };
    let expected = reference(&stream, gather.min(longest));
    assert_eq!(whole(limits, &stream, &[0], usize::MAX), expected, "frames in one piece");
    let most = HEADER + gather.min(longest) as usize + largest;
    assert_eq!(whole(limits, &stream, &cut, most), expected, "frames in pieces of {cut:?}");

    let expected = reference(&stream, longest);
    let most = HEADER + gather.min(longest) as usize + largest;
    assert_eq!(in_pieces(limits, &stream, &[0], usize::MAX), expected, "pieces in one piece");
    assert_eq!(in_pieces(limits, &stream, &cut, most), expected, "pieces in pieces of {cut:?}");

    // What a session does: rows are passed on as they come, everything else is read whole.
    let limits = Limits::only(longest);
    let most = (HEADER + longest as usize).max(LONG) + largest;
    assert_eq!(in_stretches(limits, &stream, &[0], usize::MAX), expected, "stretches in one piece");
    assert_eq!(in_stretches(limits, &stream, &cut, most), expected, "stretches in pieces of {cut:?}");
}

fn long(mut list: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let [tag, a, b, fill, rest @ ..] = list {
        // Together no more than a quarter of a mebibyte, so that one input is quick.
        let body = usize::from(u16::from_be_bytes([*a, *b])) * 16;
        let body = body.min((1_usize << 18).saturating_sub(out.len()));
        out.push(*tag);
        out.extend_from_slice(&(body as u32 + 4).to_be_bytes());
        out.resize(out.len() + body, *fill);
        list = rest;
    }
    out.extend_from_slice(list);
    out
}

fn decoder(limits: Limits) -> FrameDecoder {
    FrameDecoder::new(limits, BytesMut::new())
}

fn feed(decoder: &mut FrameDecoder, piece: &[u8], most: usize, stream: usize) {
    decoder.feed(piece);
    assert!(decoder.buffered().len() <= most, "{} bytes are held of {most}", decoder.buffered().len());
    // What was read makes room, what a length field says does not.
    let held = decoder.room().capacity();
    assert!(held <= 4 * stream.max(32 * 1024), "room for {held} bytes of {stream}");
}

fn whole(limits: Limits, stream: &[u8], cut: &[usize], most: usize) -> Read {
    let mut decoder = decoder(limits);
    let mut read = Read::default();
    for piece in pieces(stream, cut) {
        feed(&mut decoder, piece, most, stream.len());
        loop {
            match decoder.frame() {
                Ok(Some(frame)) => read.frames.push((frame.tag(), frame.body().to_vec())),
                Ok(None) => break,
                Err(error) => return failed(read, error, stream, limits.gather.min(limits.longest)),
            }
        }
    }
    read.rest = decoder.buffered().len();
    assert_eq!(decoder.between_frames(), read.rest == 0);
    read
}

/// An error comes as soon as it can be seen, and its frame's bytes are nobody's.
fn failed(mut read: Read, error: FrameError, stream: &[u8], limit: u32) -> Read {
    read.error = Some(error);
    read.rest = reference(stream, limit).rest;
    read
}

fn in_pieces(limits: Limits, stream: &[u8], cut: &[usize], most: usize) -> Read {
    let mut decoder = decoder(limits);
    let mut read = Read::default();
    let mut begun: Option<(u8, usize, Vec<u8>)> = None;
    for piece in pieces(stream, cut) {
        feed(&mut decoder, piece, most, stream.len());
        loop {
            match decoder.piece() {
                Ok(Some(Piece::Whole(frame))) => {
                    assert!(begun.is_none(), "a frame inside another");
                    read.frames.push((frame.tag(), frame.body().to_vec()));
                }
                Ok(Some(Piece::Start { header, raw })) => {
                    assert!(begun.is_none() && raw.len() == HEADER);
                    assert!(header.body > limits.gather, "a short frame in parts");
                    begun = Some((header.tag, header.body as usize, Vec::new()));
                }
                Ok(Some(Piece::Chunk { bytes, last })) => {
                    let (tag, length, mut body) = begun.take().expect("a chunk of a frame that began");
                    assert!(!bytes.is_empty());
                    body.extend_from_slice(&bytes);
                    assert_eq!(last, body.len() == length);
                    assert_eq!(last, !decoder.inside_frame());
                    if last {
                        read.frames.push((tag, body));
                    } else {
                        assert_eq!(decoder.next_tag(), Some(tag));
                        assert_eq!(decoder.frame(), Err(FrameError::InPieces));
                        begun = Some((tag, length, body));
                    }
                }
                Ok(None) => break,
                Err(error) => return failed(read, error, stream, limits.longest),
            }
        }
    }
    read.rest = begun.as_ref().map_or(0, |(_, _, body)| HEADER + body.len()) + decoder.buffered().len();
    assert_eq!(decoder.between_frames(), read.rest == 0);
    read
}

fn in_stretches(limits: Limits, stream: &[u8], cut: &[usize], most: usize) -> Read {
    let mut decoder = decoder(limits);
    // Everything handed over, put together again.
    let mut out = Vec::new();
    let mut count = 0;
    let mut stretched = 0;
    for piece in pieces(stream, cut) {
        feed(&mut decoder, piece, most, stream.len());
        loop {
            let inside = decoder.inside_frame();
            let tag = decoder.next_tag();
            let stretch = match tag {
                Some(tag @ (b'D' | b'd')) => decoder.stretch(tag),
                Some(tag) if inside => decoder.stretch(tag),
                _ => Ok(None),
            };
            match stretch {
                Ok(Some(stretch)) => {
                    assert_eq!(inside, matches!(stretch, Stretch::Rest { .. }));
                    assert!(!stretch.bytes().is_empty());
                    let headers = stretch.begun() * HEADER as u64;
                    assert_eq!(stretch.body() + headers, stretch.bytes().len() as u64);
                    count += stretch.begun();
                    stretched += stretch.begun();
                    out.extend_from_slice(stretch.bytes());
                    let ended = match stretch {
                        Stretch::Whole { .. } => true,
                        Stretch::Begin { .. } => false,
                        Stretch::Rest { last, .. } => last,
                    };
                    assert_eq!(ended, !decoder.inside_frame());
                    continue;
                }
                Ok(None) if inside => break,
                Ok(None) => {}
                Err(error) => return failed(reference(&out, u32::MAX), error, stream, limits.longest),
            }
            if matches!(tag, Some(b'D' | b'd')) {
                break;
            }
            match decoder.frame() {
                Ok(Some(frame)) => {
                    out.extend_from_slice(&frame.into_raw());
                    count += 1;
                }
                Ok(None) => break,
                Err(error) => return failed(reference(&out, u32::MAX), error, stream, limits.longest),
            }
        }
    }
    let inside = decoder.inside_frame();
    out.extend_from_slice(decoder.buffered());
    assert_eq!(out, stream, "bytes were lost, changed or made");
    let read = reference(&out, u32::MAX);
    assert_eq!(read.frames.len() as u64, count - u64::from(inside), "{stretched} in stretches");
    read
}
