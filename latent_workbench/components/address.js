// Where the live routes lie for this page. Every page lies one step below the app's root, whatever
// stands before it: `server.baseUrlPath`, the path under which another app mounts this one, or a
// prefix that a proxy strips and the server never sees. LIVE is what the server calls their mount
// (latent_workbench/live/address.py).

// The live route of these names, such as ["decode", run]; what is null in `query` is left out.
function liveAddress(names, query = {}) {
  const path = [LIVE, ...names.map(encodeURIComponent)].join("/");
  const address = new URL(path, document.baseURI);
  for (const [key, value] of Object.entries(query)) {
    if (value !== null) address.searchParams.set(key, value);
  }
  return address;
}

// The same for a socket: behind TLS where the page is.
function liveSocket(names, query = {}) {
  const address = liveAddress(names, query);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  return address;
}
