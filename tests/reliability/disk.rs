//! A model of a disk: what files hold and what folders name, and how much of both is sure to be there after a power cut. It
//! is fed the system calls of the program, and answers what could be found afterwards.

use super::strace::Call;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// A file's content, or that the name is that of a folder.
pub type Found = BTreeMap<PathBuf, Vec<u8>>;

/// What becomes of bytes that were written but not forced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    There,
    Dropped,
    Zeroed,
    Cut,
}

pub const FATES: [Fate; 4] = [Fate::There, Fate::Dropped, Fate::Zeroed, Fate::Cut];

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone, Debug, Default)]
struct Inode {
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// What it held each time that it was forced to the disk.
    versions: BTreeSet<u64>,
}

impl Inode {
    fn content(&self, fate: Fate) -> Vec<u8> {
        let mut content = self.durable.clone();
        if fate == Fate::Dropped {
            return content;
        }
        let all: usize = self
            .pending
            .iter()
            .map(|change| if let Change::Write { bytes, .. } = change { bytes.len() } else { 0 })
            .sum();
        let mut left = if fate == Fate::Cut { all / 2 } else { all };
        for change in &self.pending {
            match change {
                Change::Length(length) => content.resize(*length, 0),
                Change::Write { at, bytes } => {
                    let count = bytes.len().min(left);
                    left -= count;
                    if count > 0 {
                        content.resize(content.len().max(at + count), 0);
                        let zeros = vec![0; count];
                        let bytes = if fate == Fate::Zeroed { &zeros } else { &bytes[..count] };
                        content[*at..at + count].copy_from_slice(bytes);
                    }
                }
            }
        }
        content
    }
}

fn hash(content: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

#[derive(Clone, Debug)]
enum Entry {
    Put(String, usize),
    Remove(String),
    Rename(String, String),
}

/// The changes of a folder, in the order in which they reach the disk.
#[derive(Clone, Debug, Default)]
struct Folder {
    now: BTreeMap<String, usize>,
    changes: Vec<Entry>,
    durable: usize,
}

impl Folder {
    fn change(&mut self, entry: Entry) {
        apply(&mut self.now, &entry);
        self.changes.push(entry);
    }

    fn after(&self, changes: usize) -> BTreeMap<String, usize> {
        let mut names = BTreeMap::new();
        self.changes[..changes].iter().for_each(|entry| apply(&mut names, entry));
        names
    }
}

fn apply(names: &mut BTreeMap<String, usize>, entry: &Entry) {
    match entry {
        Entry::Put(name, inode) => drop(names.insert(name.clone(), *inode)),
        Entry::Remove(name) => drop(names.remove(name)),
        Entry::Rename(from, to) => {
            let inode = names.remove(from).unwrap();
            names.insert(to.clone(), inode);
        }
    }
}

/// The disk below one folder, which itself is safe.
#[derive(Clone, Debug)]
pub struct Disk {
    root: PathBuf,
    inodes: Vec<Inode>,
    folders: BTreeMap<PathBuf, Folder>,
    positions: HashMap<u64, usize>,
    /// Files that got their names before their bytes were on the disk.
    pub out_of_order: Vec<String>,
}

impl Disk {
    pub fn new(root: &Path) -> Disk {
        let folders = [(root.to_path_buf(), Folder::default())].into();
        let (inodes, positions) = (Vec::new(), HashMap::new());
        Disk { root: root.to_path_buf(), inodes, folders, positions, out_of_order: Vec::new() }
    }

    fn split(&self, path: &Path) -> Option<(PathBuf, String)> {
        let path = self.root.join(path);
        let name = path.file_name()?.to_string_lossy().into_owned();
        let folder = path.parent()?.to_path_buf();
        self.folders.contains_key(&folder).then_some((folder, name))
    }

    fn inode(&self, path: &Path) -> Option<usize> {
        let (folder, name) = self.split(path)?;
        self.folders[&folder].now.get(&name).copied()
    }

    /// Does `call`; whether anything has changed.
    pub fn apply(&mut self, call: &Call) -> bool {
        let texts = call.texts();
        let path = |number: usize| PathBuf::from(String::from_utf8_lossy(&texts[number]).into_owned());
        if call.value().is_none() {
            // What was to be written is lost, although the system will not say so again.
            if let (true, Some((_, path))) = (call.name.ends_with("sync"), call.file())
                && let Some(inode) = self.inode(&path)
            {
                self.inodes[inode].pending.clear();
            }
            return true;
        }
        match call.name.as_str() {
            "openat" => {
                self.positions.insert(call.value().unwrap(), 0);
                let is_new = call.names("O_CREAT") && self.inode(&path(0)).is_none();
                if let (true, Some((folder, name))) = (is_new, self.split(&path(0))) {
                    self.inodes.push(Inode::default());
                    self.folders.get_mut(&folder).unwrap().change(Entry::Put(name, self.inodes.len() - 1));
                } else if let (true, Some(inode)) = (call.names("O_TRUNC"), self.inode(&path(0))) {
                    self.inodes[inode].pending.push(Change::Length(0));
                }
            }
            "lseek" => {
                let (fd, _) = call.file().unwrap();
                self.positions.insert(fd, call.value().unwrap() as usize);
                return false;
            }
            "write" => {
                let Some((fd, path)) = call.file() else { return false };
                let Some(inode) = self.inode(&path) else { return false };
                let bytes = texts[0][..call.value().unwrap() as usize].to_vec();
                let at = self.positions.entry(fd).or_default();
                let change = Change::Write { at: *at, bytes };
                *at += call.value().unwrap() as usize;
                self.inodes[inode].pending.push(change);
            }
            "ftruncate" => {
                let Some(inode) = call.file().and_then(|(_, path)| self.inode(&path)) else { return false };
                let length = call.arguments.rsplit(", ").next().unwrap().parse().unwrap();
                self.inodes[inode].pending.push(Change::Length(length));
            }
            "fsync" | "fdatasync" => {
                let Some((_, path)) = call.file() else { return false };
                if let Some(folder) = self.folders.get_mut(&path) {
                    folder.durable = folder.changes.len();
                } else if let Some(inode) = self.inode(&path) {
                    let inode = &mut self.inodes[inode];
                    inode.durable = inode.content(Fate::There);
                    inode.pending.clear();
                    inode.versions.insert(hash(&inode.durable));
                }
            }
            "mkdir" => {
                let Some((folder, name)) = self.split(&path(0)) else { return false };
                self.inodes.push(Inode::default());
                self.folders.insert(folder.join(&name), Folder::default());
                self.folders.get_mut(&folder).unwrap().change(Entry::Put(name, self.inodes.len() - 1));
            }
            "rename" => {
                let (Some((folder, from)), Some((_, to))) = (self.split(&path(0)), self.split(&path(1)))
                else {
                    return false;
                };
                let inode = &self.inodes[self.folders[&folder].now[&from]];
                if !inode.pending.is_empty() || inode.versions.is_empty() {
                    self.out_of_order.push(to.clone());
                }
                self.folders.get_mut(&folder).unwrap().change(Entry::Rename(from, to));
            }
            "linkat" => {
                let Some(inode) = self.inode(&path(0)) else { return false };
                let (folder, name) = self.split(&path(1)).unwrap();
                self.folders.get_mut(&folder).unwrap().change(Entry::Put(name, inode));
            }
            "unlink" => {
                let Some((folder, name)) = self.split(&path(0)) else { return false };
                self.folders.get_mut(&folder).unwrap().change(Entry::Remove(name));
            }
            other => panic!("{other}: not modelled"),
        }
        true
    }

    /// Those that the program has made, and the root.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.folders.keys().cloned().collect()
    }

    /// The names in `folder` whose last change may be lost.
    pub fn unsure(&self, folder: &Path) -> Vec<String> {
        let folder = &self.folders[folder];
        let name = |entry: &Entry| match entry {
            // That something is still there does no harm.
            Entry::Remove(_) => None,
            Entry::Put(name, _) | Entry::Rename(_, name) => Some(name.clone()),
        };
        folder.changes[folder.durable..].iter().filter_map(name).collect()
    }

    /// Every state in which the disk could be found now: for each folder, some of the changes that were not forced, in
    /// order, and a fate for what was written but not forced: one for files that grow (`grows` says by name which), one
    /// for the others. `see` gets the files, and which of them are not what they were when they were last forced.
    pub fn crash(&self, grows: impl Fn(&str) -> bool, mut see: impl FnMut(&Found, &[PathBuf])) {
        let mut choices: Vec<BTreeMap<&Path, usize>> = vec![BTreeMap::new()];
        for (path, folder) in &self.folders {
            let more = choices.into_iter().flat_map(|choice| {
                (folder.durable..=folder.changes.len()).map(move |count| {
                    let mut choice = choice.clone();
                    choice.insert(path.as_path(), count);
                    choice
                })
            });
            choices = more.collect();
        }
        for choice in choices {
            for (fate, growing) in FATES.into_iter().flat_map(|fate| FATES.map(|growing| (fate, growing))) {
                let (mut found, mut broken) = (Found::new(), Vec::new());
                for (path, &changes) in &choice {
                    if !self.is_reachable(path, &choice) {
                        continue;
                    }
                    for (name, inode) in self.folders[*path].after(changes) {
                        let file = path.join(&name);
                        if self.folders.contains_key(&file) {
                            continue;
                        }
                        let content = self.inodes[inode].content(if grows(&name) { growing } else { fate });
                        if !self.inodes[inode].versions.contains(&hash(&content)) {
                            broken.push(file.clone());
                        }
                        found.insert(file, content);
                    }
                }
                see(&found, &broken);
            }
        }
    }

    /// Whether the names of `path` and of all folders above it are there.
    fn is_reachable(&self, path: &Path, choice: &BTreeMap<&Path, usize>) -> bool {
        path == self.root || {
            let (parent, name) = (path.parent().unwrap(), path.file_name().unwrap().to_string_lossy());
            let is_named = self.folders[parent].after(choice[parent]).contains_key(name.as_ref());
            is_named && self.is_reachable(parent, choice)
        }
    }
}
