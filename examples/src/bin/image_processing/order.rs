//! What the app asks for: the jobs for a folder of photographs.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::resize_photo::ResizePhoto;

const EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];

/// Returns a job for each photograph of the folder and each width. Whether a file really is a photograph is seen by its
/// job. Paths are absolute: the worker may run in another folder.
pub(crate) fn jobs(photos: &Path, out: &Path, widths: &[u32]) -> Result<Vec<ResizePhoto>> {
    let out = std::path::absolute(out)?;
    let mut jobs = Vec::new();
    for (name, source) in &by_name(photos)? {
        for width in widths {
            let out = out.join(format!("{name}-{width}.jpg"));
            jobs.push(ResizePhoto { source: source.clone(), out, width: *width });
        }
    }
    ensure!(!jobs.is_empty(), "{} has no photographs (.jpg, .jpeg, .png)", photos.display());
    Ok(jobs)
}

/// Finds the photographs of a folder; each needs a name of its own, or one's results would replace the other's.
fn by_name(photos: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let folder = fs::canonicalize(photos).with_context(|| format!("cannot find the folder {}", photos.display()))?;
    let mut by_name = BTreeMap::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let Some(name) = path.file_stem().filter(|_| is_photo(&path)).map(|name| name.to_string_lossy().into_owned())
        else {
            continue;
        };
        if let Some(other) = by_name.insert(name, path.clone()) {
            bail!("{} and {} would make the same files; rename one of them", other.display(), path.display());
        }
    }
    Ok(by_name)
}

fn is_photo(path: &Path) -> bool {
    let is_known = |extension: &OsStr| EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known));
    path.is_file() && path.extension().is_some_and(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        folder
    }

    #[test]
    fn each_photograph_gets_a_job_for_each_width() {
        let folder = folder(&["b.PNG", "a.jpeg", "notes.txt", "jpg"]);
        let jobs = jobs(folder.path(), Path::new("/out"), &[10, 20]).unwrap();
        let files: Vec<String> = jobs.iter().map(|job| job.out.display().to_string()).collect();
        assert_eq!(files, ["/out/a-10.jpg", "/out/a-20.jpg", "/out/b-10.jpg", "/out/b-20.jpg"]);
        assert!(jobs.iter().all(|job| job.source.is_absolute()));
    }

    #[test]
    fn two_photographs_of_one_name_are_refused() {
        let folder = folder(&["a.png", "a.jpg"]);
        let error = jobs(folder.path(), Path::new("out"), &[10]).unwrap_err().to_string();
        assert!(error.contains("a.png") && error.contains("a.jpg") && error.contains("rename"), "{error}");
    }

    #[test]
    fn a_folder_without_photographs_is_refused() {
        let folder = folder(&["notes.txt"]);
        let error = jobs(folder.path(), Path::new("out"), &[10]).unwrap_err().to_string();
        assert!(error.ends_with("has no photographs (.jpg, .jpeg, .png)"), "{error}");
        assert!(jobs(Path::new("/nonexistent"), Path::new("out"), &[10]).is_err());
    }
}
