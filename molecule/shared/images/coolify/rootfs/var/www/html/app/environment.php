<?php

// The settings as Laravel sees them: phpdotenv fills in from .env what the process environment lacks.

declare(strict_types=1);

require_once '/usr/share/php/Dotenv/autoload.php';

use Dotenv\Dotenv;
use Dotenv\Repository\Adapter\PutenvAdapter;
use Dotenv\Repository\RepositoryBuilder;
use Dotenv\Repository\RepositoryInterface;

final class Environment
{
    private static ?RepositoryInterface $values = null;

    /** Returns the value of a setting, null where it is set nowhere; an empty value stays an empty value. */
    public static function get(string $key): ?string
    {
        if (self::$values === null) {
            self::$values = RepositoryBuilder::createWithDefaultAdapters()
                ->addAdapter(PutenvAdapter::class)
                ->immutable()
                ->make();
            Dotenv::create(self::$values, '/var/www/html')->safeLoad();
        }

        return self::$values->get($key);
    }
}

/** Laravel's helper, for the files of the folder config. */
function env(string $key, ?string $default = null): ?string
{
    return Environment::get($key) ?? $default;
}
