// Sizes and durations as a person says them.

const MB = 1e6;

function size(bytes) {
  const mb = bytes / MB;
  return mb < 0.1 ? `${Math.max(1, Math.round(bytes / 1000))} kB` : `${mb < 100 ? mb.toFixed(1) : Math.round(mb)} MB`;
}

// "12.4 of 400 MB"
function share(sent, total) {
  return total < 0.1 * MB ? size(total) : `${size(sent).replace(/ MB$/, "")} of ${size(total)}`;
}

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
