//! Makes small photographs of large ones: JPEG or PNG in, JPEG out.
//!
//! Plain functions without jobs. What they refuse is refused again each time, except for the disk's own errors
//! (`read`, `write`). Colour profiles are not converted, and metadata is not carried over.

use std::fs::{self, File};
use std::io::{self, Cursor, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use fast_image_resize::Resizer;
use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbImage};

/// Largest file that is decoded, in bytes: the largest photographs of today's cameras, with room.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Longest side that is decoded, in pixels.
const SIDE_MAX: u32 = 30_000;

/// Most memory of one decoded photograph, in bytes: 89 megapixels of three bytes. A few hundred bytes of PNG can claim
/// to be gigabytes of pixels; they are refused before any of them is made.
const DECODED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Where the difference to the original becomes hard to see.
const JPEG_QUALITY: u8 = 85;

/// Reads a file, but not much more of it than may be decoded.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Decodes a photograph, upright and without transparency.
pub(crate) fn decode(bytes: &[u8]) -> Result<RgbImage> {
    let mut decoder = decoder(bytes)?;
    let orientation = orientation(&mut decoder);
    let mut photo = DynamicImage::from_decoder(decoder)?;
    photo.apply_orientation(orientation);
    Ok(if photo.color().has_alpha() { on_white(photo) } else { photo.into_rgb8() })
}

/// Returns the width of a photograph that stands upright, without decoding it.
pub(crate) fn width(bytes: &[u8]) -> Result<u32> {
    let mut decoder = decoder(bytes)?;
    let (width, height) = decoder.dimensions();
    let is_turned = matches!(
        orientation(&mut decoder),
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    );
    Ok(if is_turned { height } else { width })
}

/// Makes a photograph smaller and keeps its proportions. It never makes one larger: that adds bytes and no detail.
pub(crate) fn shrink(photo: RgbImage, width: u32) -> Result<RgbImage> {
    ensure!(width > 0, "a photograph of width 0 was asked for");
    if photo.width() <= width {
        return Ok(photo);
    }
    let height = u64::from(photo.height()) * u64::from(width);
    let height = (height + u64::from(photo.width()) / 2) / u64::from(photo.width());
    let mut small = RgbImage::new(width, u32::try_from(height)?.max(1));
    Resizer::new().resize(&photo, &mut small, None)?;
    Ok(small)
}

/// Writes a photograph as JPEG. Whoever looks sees the whole file or none, and writing it again changes nothing.
/// `token` tells this writer's unfinished file from those of others.
pub(crate) fn write(photo: &RgbImage, path: &Path, token: &str) -> Result<()> {
    let name = path.file_name().with_context(|| format!("{} names no file", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder)?;
    let part = folder.join(format!(".{}.{token}.part", name.to_string_lossy()));
    let written = write_part(photo, &part).and_then(|()| Ok(fs::rename(&part, path)?));
    if written.is_err() {
        // The first error is the one that matters.
        let _ = fs::remove_file(&part);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn write_part(photo: &RgbImage, part: &Path) -> Result<()> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY).encode_image(photo)?;
    let mut file = File::create(part)?;
    file.write_all(&bytes)?;
    // The job is forgotten once it is done: its file must survive the power by then.
    Ok(file.sync_all()?)
}

fn decoder(bytes: &[u8]) -> Result<impl ImageDecoder + '_> {
    ensure!(bytes.len() as u64 <= FILE_BYTES_MAX, "the file has more than {FILE_BYTES_MAX} bytes");
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    reader.limits(limits.clone());
    let decoder = reader.into_decoder()?;
    limits.reserve(decoder.total_bytes())?;
    Ok(decoder)
}

/// Reads how the camera was held; damaged metadata is no reason to refuse a photograph.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

/// JPEG knows no transparency: what shines through is white, as on a page.
fn on_white(photo: DynamicImage) -> RgbImage {
    let photo = photo.into_rgba8();
    RgbImage::from_fn(photo.width(), photo.height(), |x, y| {
        let [red, green, blue, alpha] = photo.get_pixel(x, y).0.map(u32::from);
        let mixed = [red, green, blue].map(|colour| (colour * alpha + 255 * (255 - alpha) + 127) / 255);
        image::Rgb(mixed.map(|colour| u8::try_from(colour).unwrap_or(u8::MAX)))
    })
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, Rgb, Rgba, RgbaImage};

    use super::*;

    fn png(photo: impl Into<DynamicImage>) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        photo.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn proportions_are_kept_and_nothing_grows() {
        for ((width, height), wanted, expected) in [
            ((600, 400), 240, (240, 160)),
            ((400, 600), 240, (240, 360)),
            ((1000, 872), 100, (100, 87)),
            ((512, 512), 512, (512, 512)),
            ((100, 50), 240, (100, 50)),
            ((5000, 1), 10, (10, 1)),
        ] {
            let small = shrink(RgbImage::new(width, height), wanted).unwrap();
            assert_eq!(small.dimensions(), expected, "{width} x {height} at width {wanted}");
        }
        assert!(shrink(RgbImage::new(2, 2), 0).is_err());
    }

    #[test]
    fn transparency_becomes_white() {
        let photo = RgbaImage::from_pixel(2, 2, Rgba([10, 20, 30, 0]));
        assert_eq!(decode(&png(photo)).unwrap(), RgbImage::from_pixel(2, 2, Rgb([255, 255, 255])));
        let photo = RgbaImage::from_pixel(2, 2, Rgba([10, 20, 30, 255]));
        assert_eq!(decode(&png(photo)).unwrap(), RgbImage::from_pixel(2, 2, Rgb([10, 20, 30])));
    }

    #[test]
    fn a_photograph_taken_on_its_side_stands_upright() {
        let mut bytes = Vec::new();
        let encoder = JpegEncoder::new(&mut bytes);
        RgbImage::new(40, 20).write_with_encoder(encoder).unwrap();
        // Exif of one entry: orientation (0x0112), a short, one of them, 6: turn by 90 degrees.
        let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let mut marker = vec![0xff, 0xe1, 0, u8::try_from(exif.len() + 2).unwrap()];
        marker.extend_from_slice(exif);
        bytes.splice(2..2, marker);
        assert_eq!(width(&bytes).unwrap(), 20);
        assert_eq!(decode(&bytes).unwrap().dimensions(), (20, 40));
    }

    #[test]
    fn what_is_no_photograph_is_refused_with_the_reason() {
        let whole = png(RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8, y as u8, 0])));
        for (bytes, expected) in [
            (&b"not a photograph"[..], "format could not be determined"),
            (b"", "format could not be determined"),
            (b"GIF89a\x01\0\x01\0\0\0\0;", "Gif is not supported"),
            (&whole[..whole.len() / 2], "unexpected end of file"),
        ] {
            let error = format!("{:#}", decode(bytes).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        let mut bytes = png(RgbImage::new(1, 1));
        for (width, height) in [(SIDE_MAX + 1, 1_u32), (20_000, 20_000)] {
            bytes[16..20].copy_from_slice(&width.to_be_bytes());
            bytes[20..24].copy_from_slice(&height.to_be_bytes());
            let crc = crc32(&bytes[12..29]);
            bytes[29..33].copy_from_slice(&crc.to_be_bytes());
            let error = format!("{:#}", decode(&bytes).unwrap_err());
            assert!(error.contains("limit"), "{error}");
        }
    }

    #[test]
    fn a_written_photograph_is_whole_and_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/small.jpg");
        for _ in 0..2 {
            write(&RgbImage::new(30, 20), &path, "token").unwrap();
            assert_eq!(image::image_dimensions(&path).unwrap(), (30, 20));
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_write_that_fails_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir_all(path.join("by a folder")).unwrap();
        assert!(write(&RgbImage::new(30, 20), &path, "token").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// The checksum of PNG chunks (ISO 3309), without which a made-up header is refused for the wrong reason.
    fn crc32(bytes: &[u8]) -> u32 {
        let step = |crc: u32| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
        !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
    }
}
