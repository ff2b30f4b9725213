// The link of /web carries a key behind "#", which no server and no log sees; it is used up by the press.
const said = { wrong: "That is not the token.", used: "This link was used already, or is too old. Send /web again." };
const after = location.hash.slice(1);
if (after in said) {
  document.getElementById("why").textContent = said[after];
} else if (after) {
  document.querySelector("input[name=key]").value = after;
  document.getElementById("ask").hidden = true;
}
