<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Coolify (stand-in): terminal and live events</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/xterm.css">
<link rel="stylesheet" href="/assets/page.css">
</head>
<body>
<header>
  <h1>Coolify <small>lab stand-in</small></h1>
  <p>A terminal over <code>/terminal/ws</code> and live events over <code>/app</code>, with the addresses that
  Coolify's own front end would choose from this page's URL and the container's settings.</p>
</header>
<main>
  <section>
    <h2>Terminal <span id="terminal-state" class="state" data-state="connecting">connecting</span></h2>
    <p class="url" id="terminal-url"></p>
    <div id="terminal"></div>
  </section>
  <section>
    <h2>Live events <span id="pusher-state" class="state" data-state="connecting">connecting</span></h2>
    <p class="url" id="pusher-url"></p>
    <form id="broadcast"><input name="data" value="hello" aria-label="Text of the event"><button>Publish from the backend</button>
    <output id="broadcast-result"></output></form>
    <ul id="events" aria-live="polite"></ul>
    <h2>The same by laravel-echo <span id="echo-state" class="state" data-state="connecting">connecting</span></h2>
    <ul id="echo-events" aria-live="polite"></ul>
  </section>
</main>
<script id="settings" type="application/json"><?= json_encode($settings, JSON_HEX_TAG | JSON_HEX_AMP | JSON_THROW_ON_ERROR) ?></script>
<script src="/assets/xterm.js"></script>
<script src="/assets/addon-fit.js"></script>
<script src="/assets/pusher.js"></script>
<script src="/assets/echo.js"></script>
<script src="/assets/terminal.js"></script>
<script src="/assets/live-events.js"></script>
</body>
</html>
