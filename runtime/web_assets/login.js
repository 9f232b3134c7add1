// By fetch, since a form's own request would not say which page it comes from.
const form = document.querySelector("form");
const wrong = document.getElementById("wrong");

async function isWelcome() {
  const answer = await fetch("/api/status").catch(() => null);
  return answer !== null && answer.ok;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form));
  const answer = await fetch("/login", { method: "POST", body }).catch(() => null);
  wrong.textContent = answer ? "This token is wrong." : "The stream does not answer.";
  wrong.hidden = Boolean(answer && answer.ok);
  if (wrong.hidden) location.replace("/");
});

document.querySelector("button").disabled = false;

// A link from another site arrives without the cookie and lands here; from here it is sent.
if (await isWelcome()) location.replace("/");
