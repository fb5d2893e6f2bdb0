// Makes the key in this browser, asks for its certificate, and offers both as a PKCS#12 file under a password.
// The key leaves the page only in that file. Everything cryptographic is WebCrypto's; here is only how it is written down (DER).

// DER (X.690): tag, length, content.

const joined = (parts) => {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
};
const length = (count) => {
  if (count < 0x80) return [count];
  const octets = [];
  for (let rest = count; rest; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return [0x80 | octets.length, ...octets];
};
const der = (tag, ...parts) => {
  const content = joined(parts);
  return joined([Uint8Array.from([tag, ...length(content.length)]), content]);
};
const sequence = (...parts) => der(0x30, ...parts);
const set = (...parts) => der(0x31, ...parts);
const octets = (bytes) => der(0x04, bytes);
const explicit = (...parts) => der(0xa0, ...parts);
const nothing = der(0x05);
// Unsigned, from bytes: no zeros in front but the one that keeps it positive.
const unsigned = (bytes) => {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const digits = bytes.subarray(start);
  return digits[0] & 0x80 ? der(0x02, Uint8Array.of(0), digits) : der(0x02, digits);
};
const integer = (number) => {
  const bytes = [];
  do bytes.unshift(number % 256); while ((number = Math.floor(number / 256)));
  return unsigned(Uint8Array.from(bytes));
};
const oid = (text) => {
  const [first, second, ...rest] = text.split(".").map(Number);
  const encoded = [first * 40 + second, ...rest].flatMap((arc) => {
    const septets = [arc % 128];
    while ((arc = Math.floor(arc / 128))) septets.unshift((arc % 128) | 0x80);
    return septets;
  });
  return der(0x06, Uint8Array.from(encoded));
};

// PEM (RFC 7468)

const toPem = (label, bytes) => {
  const text = btoa(String.fromCharCode(...bytes)).replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${text}\n-----END ${label}-----\n`;
};
const certificatesIn = (pem) =>
  [...pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g)].map(([, text]) =>
    Uint8Array.from(atob(text.replace(/\s/g, "")), (character) => character.charCodeAt(0)),
  );

// PKCS#10 (RFC 2986): the key and the proof that we have it. The names are those of the grant, so none are asked for.

const certificateRequest = async (pair) => {
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
  const info = sequence(integer(0), sequence(), spki, explicit());
  const signed = new Uint8Array(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, info));
  // WebCrypto gives r and s side by side; X.509 wants them as two integers (RFC 3279 2.2.3).
  const signature = sequence(unsigned(signed.subarray(0, 32)), unsigned(signed.subarray(32)));
  return toPem(
    "CERTIFICATE REQUEST",
    sequence(info, sequence(oid("1.2.840.10045.4.3.2")), der(0x03, Uint8Array.of(0), signature)),
  );
};

// PKCS#12 (RFC 7292): encrypted by PBES2 with PBKDF2, HMAC-SHA-256 and AES-256 (RFC 8018), authenticated by HMAC-SHA-256.

const ENCRYPTION_ROUNDS = 100_000;
const MAC_ROUNDS = 20_000;
const DATA = oid("1.2.840.113549.1.7.1");
const utf16 = (text) =>
  Uint8Array.from({ length: 2 * text.length }, (_, at) => (text.charCodeAt(at >> 1) >> (at % 2 ? 0 : 8)) & 0xff);
const random = (count) => crypto.getRandomValues(new Uint8Array(count));

const encrypted = async (password, bytes) => {
  const salt = random(16), iv = random(16);
  const base = await crypto.subtle.importKey("raw", new TextEncoder().encode(password), "PBKDF2", false, ["deriveKey"]);
  const derivation = { name: "PBKDF2", hash: "SHA-256", salt, iterations: ENCRYPTION_ROUNDS };
  const key = await crypto.subtle.deriveKey(derivation, base, { name: "AES-CBC", length: 256 }, false, ["encrypt"]);
  const prf = sequence(oid("1.2.840.113549.2.9"), nothing);
  const how = sequence(
    oid("1.2.840.113549.1.5.13"),
    sequence(
      sequence(oid("1.2.840.113549.1.5.12"), sequence(octets(salt), integer(ENCRYPTION_ROUNDS), prf)),
      sequence(oid("2.16.840.1.101.3.4.1.42"), octets(iv)),
    ),
  );
  return { how, bytes: new Uint8Array(await crypto.subtle.encrypt({ name: "AES-CBC", iv }, key, bytes)) };
};

// RFC 7292 B.2 with SHA-256 for a MAC key: as long as one digest, so its one block is all there is to make.
const macKey = async (password, salt) => {
  const text = utf16(`${password}\0`);
  const filled = (bytes) => Uint8Array.from({ length: 64 * Math.ceil(bytes.length / 64) }, (_, at) => bytes[at % bytes.length]);
  let block = joined([new Uint8Array(64).fill(3), filled(salt), filled(text)]);
  for (let round = 0; round < MAC_ROUNDS; round += 1) block = new Uint8Array(await crypto.subtle.digest("SHA-256", block));
  return block;
};

const attributes = (id, name) =>
  set(
    sequence(oid("1.2.840.113549.1.9.20"), set(der(0x1e, utf16(name)))),
    sequence(oid("1.2.840.113549.1.9.21"), set(octets(id))),
  );

const pkcs12 = async (privateKey, certificates, password, name) => {
  const id = new Uint8Array(await crypto.subtle.digest("SHA-256", certificates[0]));
  const bags = certificates.map((certificate, place) =>
    sequence(
      oid("1.2.840.113549.1.12.10.1.3"),
      explicit(sequence(oid("1.2.840.113549.1.9.22.1"), explicit(octets(certificate)))),
      ...(place ? [] : [attributes(id, name)]),
    ),
  );
  const hidden = await encrypted(password, sequence(...bags));
  const key = await encrypted(password, new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey)));
  const keyBag = sequence(
    oid("1.2.840.113549.1.12.10.1.2"),
    explicit(sequence(key.how, octets(key.bytes))),
    attributes(id, name),
  );
  const contents = sequence(
    sequence(
      oid("1.2.840.113549.1.7.6"),
      explicit(sequence(integer(0), sequence(DATA, hidden.how, der(0x80, hidden.bytes)))),
    ),
    sequence(DATA, explicit(octets(sequence(keyBag)))),
  );
  const salt = random(16);
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const mac = await crypto.subtle.importKey("raw", await macKey(password, salt), hmac, false, ["sign"]);
  const digest = new Uint8Array(await crypto.subtle.sign(hmac, mac, contents));
  return sequence(
    integer(3),
    sequence(DATA, explicit(octets(contents))),
    sequence(
      sequence(sequence(oid("2.16.840.1.101.3.4.2.1"), nothing), octets(digest)),
      octets(salt),
      integer(MAC_ROUNDS),
    ),
  );
};

// The page

const form = document.getElementById("enroll");
const status = document.getElementById("status");
const token = location.pathname.split("/").pop();
let pair, request; // kept until there is a certificate: who asks again with the same key gets the same one

const enroll = async (password) => {
  pair ??= await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  request ??= await certificateRequest(pair);
  const answer = await fetch("/v1/enroll", {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/pkcs10" },
    body: request,
    credentials: "omit",
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(JSON.parse(text).detail);
  return pkcs12(pair.privateKey, certificatesIn(text), password, form.dataset.name);
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [password, again] = ["password", "again"].map((id) => document.getElementById(id).value);
  if (password !== again) {
    status.textContent = status.dataset.differ;
    return;
  }
  form.querySelector("button").disabled = true;
  status.textContent = status.dataset.working;
  try {
    const file = await enroll(password);
    const save = document.getElementById("save");
    save.href = URL.createObjectURL(new Blob([file], { type: "application/x-pkcs12" }));
    save.hidden = document.getElementById("install").hidden = false;
    status.textContent = status.dataset.done;
    save.focus();
  } catch (error) {
    status.textContent = error.message;
    form.querySelector("button").disabled = false;
  }
});

// Only where the browser offers cryptography: over HTTPS, or on this machine.
form.hidden = !globalThis.crypto?.subtle;
