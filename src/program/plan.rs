//! The memory plan: transient buffers whose lifetimes do not meet share a slot. A slot is one allocation (on the
//! GPU one buffer of the device: steps that write one buffer are serialised, so one big arena would cost barriers).

use super::{Buffer, BufferId, Role, Step};
use std::fmt;

/// First and last step (of one list) that touches a buffer.
type Lifetime = Option<(usize, usize)>;

/// Which slot each buffer lies in (at its beginning), and how large the slots are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    slot_of: Vec<usize>,
    slot_len: Vec<usize>,
    kept: Vec<bool>,
    /// Bytes by role: (role, bytes of the buffers, bytes of the slots they own).
    roles: Vec<(Role, u64, u64)>,
}

impl Plan {
    pub(super) fn new(buffers: &[Buffer], lists: &[&[Step]], keep: bool) -> Self {
        let touches = |steps: &&[Step]| steps.iter().map(|step| step.buffers.clone()).collect();
        let lists: Vec<Vec<Vec<BufferId>>> = lists.iter().map(touches).collect();
        Plan::of_touches(buffers, &lists, keep)
    }

    /// The same for an executor that runs several steps as one: for each list, the buffers that each of its parts
    /// touches, in order.
    pub(crate) fn of_touches(buffers: &[Buffer], lists: &[Vec<Vec<BufferId>>], keep: bool) -> Self {
        let lifetimes: Vec<Vec<Lifetime>> = lists.iter().map(|l| lifetimes(buffers.len(), l)).collect();
        let meet = |a: usize, b: usize| {
            lifetimes.iter().any(|list| match (list[a], list[b]) {
                (Some((a0, a1)), Some((b0, b1))) => a0 <= b1 && b0 <= a1,
                _ => false,
            })
        };
        let kept: Vec<bool> = buffers.iter().map(|b| keep || b.role != Role::Transient).collect();
        let mut slot_of = vec![usize::MAX; buffers.len()];
        let mut slot_len = Vec::new();
        for (i, buffer) in buffers.iter().enumerate() {
            if kept[i] {
                slot_of[i] = slot_len.len();
                slot_len.push(buffer.shape.len());
            }
        }
        // Largest first, each into the first slot whose buffers it does not meet: the usual greedy plan, within a few
        // per cent of the peak of live bytes for chains and residual networks.
        let mut order: Vec<usize> = (0..buffers.len()).filter(|&i| !kept[i]).collect();
        order.sort_by_key(|&i| (std::cmp::Reverse(buffers[i].shape.len()), i));
        let first_shared = slot_len.len();
        let mut members: Vec<Vec<usize>> = Vec::new();
        for i in order {
            let free = members.iter().position(|m| m.iter().all(|&other| !meet(i, other)));
            let slot = free.unwrap_or_else(|| {
                members.push(Vec::new());
                slot_len.push(buffers[i].shape.len());
                members.len() - 1
            });
            members[slot].push(i);
            slot_of[i] = first_shared + slot;
        }
        let mut roles: Vec<(Role, u64, u64)> = Vec::new();
        let mut owned = vec![false; slot_len.len()];
        let mut by_size: Vec<usize> = (0..buffers.len()).collect();
        by_size.sort_by_key(|&i| std::cmp::Reverse(buffers[i].shape.len()));
        for i in by_size {
            let slot = slot_of[i];
            let own = if std::mem::replace(&mut owned[slot], true) { 0 } else { slot_len[slot] as u64 * 4 };
            let role = buffers[i].role;
            match roles.iter_mut().find(|r| r.0 == role) {
                Some(r) => {
                    r.1 += buffers[i].shape.bytes();
                    r.2 += own;
                }
                None => roles.push((role, buffers[i].shape.bytes(), own)),
            }
        }
        Plan { slot_of, slot_len, kept, roles }
    }

    /// The slot that holds `id`.
    pub fn slot(&self, id: BufferId) -> usize {
        self.slot_of[id.index()]
    }

    /// Length of every slot in elements.
    pub fn slots(&self) -> &[usize] {
        &self.slot_len
    }

    /// Whether `id` has its slot to itself and so keeps its content between runs.
    pub fn is_kept(&self, id: BufferId) -> bool {
        self.kept[id.index()]
    }

    /// Bytes of all slots, which an executor has to allocate.
    pub fn bytes(&self) -> u64 {
        self.slot_len.iter().map(|&n| n as u64 * 4).sum()
    }

    /// Bytes of the slots that belong to buffers of `role`.
    pub fn bytes_of(&self, role: Role) -> u64 {
        self.roles.iter().filter(|r| r.0 == role).map(|r| r.2).sum()
    }
}

fn lifetimes(buffers: usize, touches: &[Vec<BufferId>]) -> Vec<Lifetime> {
    let mut lives = vec![None; buffers];
    for (time, touched) in touches.iter().enumerate() {
        for id in touched {
            let life: &mut Lifetime = &mut lives[id.index()];
            *life = Some((life.map_or(time, |l| l.0), time));
        }
    }
    lives
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / (1 << 20) as f64;
        writeln!(f, "memory: {:.1} MiB in {} slots", mib(self.bytes()), self.slot_len.len())?;
        for (role, bytes, own) in &self.roles {
            let role = format!("{role:?}").to_lowercase();
            write!(f, "  {role:<10} {:>9.1} MiB", mib(*own))?;
            if bytes != own {
                write!(f, " (holding {:.1} MiB at different times)", mib(*bytes))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
