// The Pusher client with the options that Coolify's layout gives it, as it is and inside of laravel-echo.
(() => {
    const settings = JSON.parse(document.getElementById('settings').textContent).pusher;
    const part = (name, list) => ({
        state: document.getElementById(`${name}-state`),
        events: document.getElementById(list),
        show(state, text = state) {
            this.state.dataset.state = state;
            this.state.textContent = text;
        },
        add(name, data) {
            const line = document.createElement('li');
            line.textContent = `${name}: ${typeof data === 'string' ? data : JSON.stringify(data)}`;
            this.events.append(line);
        },
        watch(connection) {
            connection.bind('state_change', ({ current }) => {
                if (['unavailable', 'failed', 'disconnected'].includes(current)) {
                    this.show('disconnected', current);
                } else if (current === 'connecting') {
                    this.show('connecting');
                }
            });
            connection.bind('error', ({ error }) => this.show('disconnected', `error ${error?.data?.code ?? ''}`));
        },
    });

    const host = settings.host || location.hostname;
    const secure = location.protocol === 'https:';
    document.getElementById('pusher-url').textContent =
        `${secure ? 'wss' : 'ws'}://${host}:${settings.port || (secure ? 443 : 80)}/app/…`;

    const options = {
        cluster: host,
        wsHost: host,
        wsPort: settings.port,
        wssPort: settings.port,
        // Older releases say no whatever the page is.
        forceTLS: settings.tlsAsThePage && secure,
        enableStats: false,
        enabledTransports: ['ws', 'wss'],
    };

    const bare = part('pusher', 'events');
    const pusher = new Pusher(settings.key, options);
    bare.watch(pusher.connection);
    const channel = pusher.subscribe('lab');
    channel.bind('pusher:subscription_succeeded', () => bare.show('connected'));
    channel.bind_global((name, data) => name.startsWith('pusher') || bare.add(name, data));

    const wrapped = part('echo', 'echo-events');
    const echo = new Echo.default({ ...options, broadcaster: 'pusher', key: settings.key });
    wrapped.watch(echo.connector.pusher.connection);
    echo.channel('lab').subscribed(() => wrapped.show('connected'))
        .listenToAll((name, data) => wrapped.add(name, data));

    const form = document.getElementById('broadcast');
    form.addEventListener('submit', async (submitted) => {
        submitted.preventDefault();
        const answer = await fetch('/lab/broadcast', { method: 'POST', body: new URLSearchParams(new FormData(form)) });
        document.getElementById('broadcast-result').textContent = await answer.text();
    });
})();
