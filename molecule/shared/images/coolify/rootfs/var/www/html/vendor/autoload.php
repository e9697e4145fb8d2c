<?php

// Composer's, in Coolify's image; here it brings the settings alone.

declare(strict_types=1);

require_once __DIR__.'/../app/environment.php';
