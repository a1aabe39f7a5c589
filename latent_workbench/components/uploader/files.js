// What was dropped or chosen as a list of {name, file}; folders are walked through.

const LITTER = /(^|\/)(\.[^/]*|thumbs\.db|desktop\.ini|__macosx)(\/|$)/i;

function chosen(input) {
  return tidy(Array.from(input.files, (file) => ({ name: file.webkitRelativePath || file.name, file })));
}

async function dropped(transfer) {
  // The entries have to be asked for before anything is awaited: after that they are gone.
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) {
    return tidy(Array.from(transfer.files, (file) => ({ name: file.name, file })));
  }
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return tidy(found);
}

async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ name: entry.fullPath.replace(/^\//, ""), file });
    return;
  }
  const reader = entry.createReader();
  for (;;) { // it gives a hundred at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const each of some) await walk(each, found);
  }
}

// Without what systems leave in folders.
function tidy(files) {
  return files.filter(({ name }) => !LITTER.test(name));
}

// Those of a folder that can be images; a file that was chosen by itself is never left out silently.
function usable(files, endings) {
  const fits = ({ name }) => endings.some((ending) => name.toLowerCase().endsWith(ending));
  const kept = files.filter((each) => !each.name.includes("/") || fits(each));
  return { files: kept, left: files.length - kept.length };
}
