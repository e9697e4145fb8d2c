<?php

// Where the backend publishes its events: the realtime server in the container beside this one.

$scheme = env('PUSHER_SCHEME', 'http');

return [
    'default' => 'pusher',
    'connections' => [
        'pusher' => [
            'driver' => 'pusher',
            'app_id' => env('PUSHER_APP_ID', 'coolify'),
            'key' => env('PUSHER_APP_KEY', 'coolify'),
            'secret' => env('PUSHER_APP_SECRET', 'coolify'),
            'options' => [
                'host' => env('PUSHER_BACKEND_HOST', 'coolify-realtime'),
                'port' => env('PUSHER_BACKEND_PORT', '6001'),
                'scheme' => $scheme,
                'useTLS' => $scheme === 'https',
            ],
        ],
    ],
];
