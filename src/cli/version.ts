declare const BUILD_VERSION: string | undefined;

/** Set by the build; from a checkout it is package.json's (a test compares them). */
export const VERSION: string = typeof BUILD_VERSION === "string" ? BUILD_VERSION : "0.1.0";
