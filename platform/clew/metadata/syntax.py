"""The YAML parser's own complaints, said in Chinese."""

from __future__ import annotations

PROBLEMS_ZH = {
    "mapping values are not allowed in this context": "此处不能出现“键: 值”(检查缩进,或给含冒号的文字加引号)",
    "could not find expected ':'": "缺少冒号“:”",
    "found character that cannot start any token": "此字符不能作为开头(制表符请改为空格,特殊字符请加引号)",
    "found a tab character that violates indentation": "缩进不能用制表符,请改为空格",
    "did not find expected key": "此处应为一个键(检查缩进或引号)",
    "did not find expected '-' indicator": "此处应为列表项“-”(检查缩进)",
    "did not find expected ',' or '}'": "缺少“,”或“}”",
    "did not find expected ',' or ']'": "缺少“,”或“]”",
    "did not find expected node content": "此处缺少内容",
    "did not find expected <document start>": "此处应为新文档“---”",
    "found unexpected end of stream": "文件在引号或括号未闭合时结束",
    "found unexpected document indicator": "引号内不能出现文档分隔符",
    "found unknown escape character": "双引号内有未知的转义字符(可改用单引号)",
    "block sequence entries are not allowed in this context": "此处不能出现列表项“-”",
    "found undefined tag handle": "不允许使用标签",
    "found incompatible YAML document": "不支持的 YAML 版本",
    "control characters are not allowed": "不允许控制字符",
    "found unexpected ':'": "此处不能出现冒号",
}
