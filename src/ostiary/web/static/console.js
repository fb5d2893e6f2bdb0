// What the console gains where scripts run. Every page works without: pop-ups are pages, statuses are as of when it was loaded.

// A pop-up that came with the page becomes modal: focus stays in it, Esc goes back to the page below.
for (const popup of document.querySelectorAll("dialog.popup[open]")) {
  document.querySelector(".frame")?.removeAttribute("inert");
  const focused = popup.querySelector("[autofocus]");
  popup.close();
  popup.showModal();
  (focused ?? popup.querySelector(".inside :is(input, select, textarea, a, button):not([type=hidden])"))?.focus();
  popup.addEventListener("cancel", (event) => {
    event.preventDefault();
    location.assign(popup.dataset.back);
  });
}

// On a narrow page the menu starts folded; it is open where no script could open it.
if (matchMedia("(max-width: 52rem)").matches) document.querySelector("details.menu")?.removeAttribute("open");

// Pieces that the server sends again when they change: each takes the place of the element with its id.
for (const place of document.querySelectorAll("[data-live]")) {
  const source = new EventSource(place.dataset.live);
  source.addEventListener("message", (event) => {
    const news = new DOMParser().parseFromString(event.data, "text/html");
    for (const piece of news.querySelectorAll("[id]")) {
      const old = document.getElementById(piece.id);
      if (old && old.outerHTML !== piece.outerHTML) old.replaceWith(document.importNode(piece, true));
    }
  });
  addEventListener("pagehide", () => source.close());
}

// What saving would do, as choices are made.
for (const form of document.querySelectorAll("form[data-effect]")) {
  const shown = form.querySelector("#effect");
  let latest = 0;
  const ask = async () => {
    const mine = ++latest;
    const names = ["enable_client_ca", "client_authentication", "client_ca_tls_container_ref"];
    const given = [...new FormData(form)].filter(([name]) => names.includes(name));
    const answer = await fetch(`${form.dataset.effect}?${new URLSearchParams(given)}`);
    if (answer.ok && mine === latest) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      shown.replaceChildren(...page.body.childNodes);
    }
  };
  form.addEventListener("change", (event) => {
    if (["checkbox", "radio"].includes(event.target.type)) ask();
  });
  ask();
}

// A form that is on its way is not sent twice. A download leaves the page as it is, so a moment later it can be sent again.
addEventListener("submit", (event) => {
  const form = event.target;
  if (form.ariaBusy === "true") return event.preventDefault();
  form.ariaBusy = "true";
  setTimeout(() => { form.ariaBusy = "false"; }, 3000);
});
addEventListener("pageshow", () => document.querySelectorAll("form[aria-busy=true]").forEach((form) => { form.ariaBusy = "false"; }));

// Times in the reader's zone: told to the server once, which writes them from then on.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.includes("ostiary-zone=")) {
  document.cookie = `ostiary-zone=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=strict`;
  for (const time of document.querySelectorAll("time[datetime]")) {
    if (time.title) time.title = new Date(time.dateTime).toLocaleString(document.documentElement.lang);
  }
}

// What scrolls sideways is reached by the keyboard, also where nothing in it is.
const scrolling = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const stops = target.scrollWidth > target.clientWidth && !target.querySelector("a, button, input, select, textarea, summary");
    if (stops) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
for (const place of document.querySelectorAll(".scroll")) scrolling.observe(place);

// Copying what is long to type.
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    button.textContent = button.dataset.done;
  });
}

// A form whose answer is a file leaves the page as it is: say that it was sent.
for (const form of document.querySelectorAll("form[data-after]")) {
  form.addEventListener("submit", () => (document.getElementById(form.dataset.after).hidden = false));
}
