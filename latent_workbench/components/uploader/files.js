// What was dropped or chosen as a list of files with their names; folders are walked through.

/** @typedef {{ name: string, file: File }} Named the name with the folders before it */

const LITTER = /(^|\/)(\.[^/]*|thumbs\.db|desktop\.ini|__macosx)(\/|$)/i;

/** @param {HTMLInputElement} input */
export function chosen(input) {
  return tidy(
    Array.from(input.files ?? [], (file) => ({ name: file.webkitRelativePath || file.name, file })),
  );
}

/** @param {DataTransfer} transfer */
export async function dropped(transfer) {
  // The entries have to be asked for before anything is awaited: after that they are gone.
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.()).filter(
    (entry) => entry != null,
  );
  if (!entries.length) return tidy(Array.from(transfer.files, (file) => ({ name: file.name, file })));
  /** @type {Named[]} */
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return tidy(found);
}

/** @param {FileSystemEntry} entry @param {Named[]} found */
async function walk(entry, found) {
  if (entry.isFile) {
    const { file: open } = /** @type {FileSystemFileEntry} */ (entry);
    /** @type {File} */
    const file = await new Promise((resolve, reject) => open.call(entry, resolve, reject));
    found.push({ name: entry.fullPath.replace(/^\//, ""), file });
    return;
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return; // it gives a hundred at a time
    for (const each of some) await walk(each, found);
  }
}

/** Without what systems leave in folders. @template {{ name: string }} T @param {T[]} files */
export function tidy(files) {
  return files.filter(({ name }) => !LITTER.test(name));
}

/**
 * Those of a folder that can be images, and how many were left out; a file that was chosen by itself
 * is never left out silently.
 *
 * @template {{ name: string }} T
 * @param {T[]} files
 * @param {string[]} endings
 */
export function usable(files, endings) {
  const kept = files.filter(
    ({ name }) => !name.includes("/") || endings.some((ending) => name.toLowerCase().endsWith(ending)),
  );
  return { files: kept, left: files.length - kept.length };
}
