<?php

// Where the backend publishes its events: the server in this container, unless the settings name another one.

$host = env('PUSHER_BACKEND_HOST', '');
$scheme = env('PUSHER_BACKEND_SCHEME') ?: 'http';

return [
    'default' => 'pusher',
    'connections' => [
        'pusher' => [
            'driver' => 'pusher',
            'app_id' => env('PUSHER_APP_ID', 'coolify'),
            'key' => env('PUSHER_APP_KEY', 'coolify'),
            'secret' => env('PUSHER_APP_SECRET', 'coolify'),
            'options' => [
                // The name of the container that an older release had.
                'host' => in_array($host, ['', 'coolify-realtime'], true) ? '127.0.0.1' : $host,
                'port' => env('PUSHER_BACKEND_PORT') ?: '6001',
                'scheme' => $scheme,
                'useTLS' => $scheme === 'https',
            ],
        ],
    ],
];
