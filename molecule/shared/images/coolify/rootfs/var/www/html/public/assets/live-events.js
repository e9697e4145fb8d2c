// The Pusher client with the options that Coolify's layout gives it.
(() => {
    const settings = JSON.parse(document.getElementById('settings').textContent).pusher;
    const state = document.getElementById('pusher-state');
    const events = document.getElementById('events');
    const show = (name, text = name) => {
        state.dataset.state = name;
        state.textContent = text;
    };

    const host = settings.host || location.hostname;
    const secure = location.protocol === 'https:';
    document.getElementById('pusher-url').textContent =
        `${secure ? 'wss' : 'ws'}://${host}:${settings.port || (secure ? 443 : 80)}/app/…`;

    const pusher = new Pusher(settings.key, {
        cluster: host,
        wsHost: host,
        wsPort: settings.port,
        wssPort: settings.port,
        // Older releases say no whatever the page is.
        forceTLS: settings.tlsAsThePage && secure,
        enableStats: false,
        enabledTransports: ['ws', 'wss'],
    });
    pusher.connection.bind('state_change', ({ current }) => {
        if (['unavailable', 'failed', 'disconnected'].includes(current)) {
            show('disconnected', current);
        } else if (current === 'connecting') {
            show('connecting');
        }
    });
    pusher.connection.bind('error', ({ error }) => show('disconnected', `error ${error?.data?.code ?? ''}`));

    const channel = pusher.subscribe('lab');
    channel.bind('pusher:subscription_succeeded', () => show('connected'));
    channel.bind_global((name, data) => {
        if (name.startsWith('pusher')) {
            return;
        }
        const line = document.createElement('li');
        line.textContent = `${name}: ${typeof data === 'string' ? data : JSON.stringify(data)}`;
        events.append(line);
    });

    const form = document.getElementById('broadcast');
    form.addEventListener('submit', async (submitted) => {
        submitted.preventDefault();
        const answer = await fetch('/lab/broadcast', { method: 'POST', body: new URLSearchParams(new FormData(form)) });
        document.getElementById('broadcast-result').textContent = await answer.text();
    });
})();
