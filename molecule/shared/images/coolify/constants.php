<?php

// Only the version is read from here, by whoever asks which Coolify this stands in for.
return [
    'coolify' => [
        'version' => @VERSION@,
        'self_hosted' => env('SELF_HOSTED') ?? true,
    ],
];
